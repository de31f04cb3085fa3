"""Reading stream definitions: what a good file means, and what is said about every mistake."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flow.definition_file import read_definitions
from flow.definitions import DEFAULT_TYPES, Condition, Definitions, LaneTargets, Match, ServiceLevel, Stage, Stream
from flow.errors import DefinitionError
from flow.instants import DAY, HOUR

WHOLE = r"""
streams:
  checkout:
    match: {source: jira, project: [CHK, PAY], label: web}
    item_keys: ['CHK-\d+', 'PAY-\d+']
    labels: {portfolio: retail, train: shop}
    stages:
      - {name: backlog, kind: queue,  when: [{status: To Do}]}
      - {name: develop, kind: active, when: [{status: In Progress}, {label: doing}], wip_limit: 6, sle: {p85: 3d}}
      - {name: review,  kind: active, when: [{status: In Review}, {signal: change.opened}], commitment: true}
      - {name: release, kind: queue,  when: [{signal: change.merged}], wip_limit: 8}
      - {name: done,    kind: done,   when: [{status: Done}, {signal: deployment.succeeded, environment: production}]}
      - {name: dropped, kind: done,   when: [{status: Dropped, label: web}]}
    targets: {cycle_time_p85: 10d, flow_efficiency: 0.4, throughput_per_week: 12}
    types: {feature: [Story], enabler: [Spike, Enabler]}
    windows: [7d, 731d]
"""

STAGES = """
      - {name: develop, kind: active, when: [{status: Doing}]}
      - {name: done, kind: done, when: [{status: Done}]}
"""
SMALL = f"""streams:
  web:
    stages:{STAGES}"""


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(DefinitionError) as caught:
        read_definitions(text)
    return caught.value.problems


def only_problem_of(text: str) -> str:
    [problem] = problems_of(text)
    return problem


def stages(*lines: str) -> str:
    """A file with one stream with these stages; the first of them stands in line 4."""
    return "streams:\n  web:\n    stages:\n" + "".join(f"      - {line}\n" for line in lines)


def with_stage(line: str) -> str:
    """A file that is right but for its stage in line 4."""
    return stages(line, "{name: done, kind: done, when: [{status: Done}]}")


def with_stream_key(lines: str) -> str:
    """A file that is right but for what begins in line 3."""
    return f"streams:\n  web:\n    {lines}\n    stages:{STAGES}"


def test_a_whole_file_is_read_as_it_is_written() -> None:
    on = Condition
    assert read_definitions(WHOLE).streams == {
        "checkout": Stream(
            name="checkout",
            stages=(
                Stage("backlog", "queue", (on(status="To Do"),)),
                Stage(
                    "develop",
                    "active",
                    (on(status="In Progress"), on(label="doing")),
                    wip_limit=6,
                    sle=ServiceLevel(0.85, 3 * DAY),
                ),
                Stage("review", "active", (on(status="In Review"), on(signal="change.opened")), commitment=True),
                Stage("release", "queue", (on(signal="change.merged"),), wip_limit=8),
                Stage(
                    "done",
                    "done",
                    (on(status="Done"), on(signal="deployment.succeeded", environment="production")),
                ),
                Stage("dropped", "done", (on(status="Dropped", label="web"),)),
            ),
            match=Match(source=("jira",), project=("CHK", "PAY"), label=("web",)),
            item_keys=(r"CHK-\d+", r"PAY-\d+"),
            labels={"portfolio": "retail", "train": "shop"},
            types={"feature": ("Story",), "enabler": ("Spike", "Enabler")},
            targets={"cycle_time_p85": 10 * DAY, "flow_efficiency": 0.4, "throughput_per_week": 12},
            windows=("7d", "731d"),
        )
    }


def test_what_is_left_out_has_the_defaults_of_the_definitions() -> None:
    stream = read_definitions(SMALL).streams["web"]
    assert stream == Stream("web", stream.stages)
    assert stream.types == DEFAULT_TYPES


def test_streams_keep_the_order_of_the_file() -> None:
    text = "streams:\n" + "".join(
        f"  {name}:\n    match: {{project: {name}}}\n    stages:{STAGES}" for name in ("zeta", "alpha", "mid")
    )
    assert list(read_definitions(text).streams) == ["zeta", "alpha", "mid"]


def test_anchors_aliases_and_merges_write_values_once() -> None:
    text = """streams:
  one:
    match: {project: ONE}
    stages: &stages
      - &develop {name: develop, kind: active, when: [{status: Doing}], wip_limit: 3}
      - {name: done, kind: done, when: [{status: Done}]}
  two: {match: {project: TWO}, stages: *stages}
  three:
    match: {project: THREE}
    stages:
      - {<<: *develop, name: build, wip_limit: 5}
      - {name: done, kind: done, when: [{status: Done}]}
"""
    streams = read_definitions(text).streams
    assert streams["one"].stages == streams["two"].stages
    assert streams["three"].stages[0] == Stage("build", "active", (Condition(status="Doing"),), wip_limit=5)


def test_a_stream_of_signals_only_needs_no_match_beside_others() -> None:
    text = f"""streams:
  one:
    match: {{project: ONE}}
    stages:{STAGES}
  signals:
    item_keys: ['SIG-[0-9]+']
    stages:
      - {{name: review, kind: active, when: [{{signal: change.opened}}]}}
      - {{name: done, kind: done, when: [{{signal: change.merged}}]}}
"""
    assert read_definitions(text).streams["signals"].match == Match()


def test_all_problems_come_at_once_in_the_order_of_their_lines() -> None:
    text = """streams:
  Web Shop:
    windows: [3y]
    stages:
      - {name: develop, kind: activ, when: [{status: Doing}], wip_limt: 3}
      - {name: done, kind: done, when: [{status: Yes}], sle: 3d}
    colour: red
"""
    assert problems_of(text) == (
        "streams.yaml:2: the name of a stream can't be 'Web Shop': only a-z, 0-9, '.', '_' and '-', 63 at most, "
        "a letter or digit first; write web-shop",
        "streams.yaml:3: an entry of windows of stream 'Web Shop': '3y' is not a duration; "
        "write a number and s, m, h, d or w, such as 90s, 4h or 2d",
        "streams.yaml:5: unknown key 'wip_limt' in stage 1 of stream 'Web Shop'; write wip_limit",
        "streams.yaml:5: kind of stage 'develop' can't be 'activ'; write active",
        "streams.yaml:6: status in when of stage 'done': YAML reads 'Yes' as true or false, not as text; "
        "put it in quotes: 'Yes'",
        "streams.yaml:6: sle of stage 'done' must be a map, not the text '3d'; write keys and values",
        "streams.yaml:7: unknown key 'colour' in stream 'Web Shop'; "
        "write one of match, item_keys, labels, stages, targets, types, windows, "
        "calendar, false_alarms_per_year, baseline, relearn_after",
    )


def test_problems_carry_the_name_of_the_file() -> None:
    with pytest.raises(DefinitionError, match=r"^shop/flow\.yaml:1: the file is empty; write streams:"):
        read_definitions("", where="shop/flow.yaml")


WORK = "name: work, kind: active"
WHEN = "when: [{status: Doing}]"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("# nothing\n", 1, "the file is empty; write streams:"),
        ("---\n", 1, "the file is empty; write streams:"),
        ("~\n", 1, "the file must be a map, not nothing"),
        ("- a\n", 1, "the file must be a map, not a list; write keys and values; the keys are streams"),
        ("{}", 1, "the file has no streams; write streams:"),
        ("stream: {}\n", 1, "unknown key 'stream' in the file; write streams"),
        ("streams:\n", 1, "streams must be a map, not nothing"),
        ("streams: {}\n", 1, "streams is empty; write at least one stream"),
        ("streams: [a]\n", 1, "streams must be a map, not a list"),
        ("streams:\n  web: 3\n", 2, "stream 'web' must be a map, not '3'"),
        ("streams:\n  no: {}\n", 2, "YAML reads 'no' as true or false, not as text; put it in quotes: 'no'"),
        ("streams:\n  web: {}\n", 2, "stream 'web' has no stages; write stages:"),
        ("streams:\n  web:\n    stages: done\n", 3, "stages of stream 'web' must be a list, not the text 'done'"),
        ("streams:\n  web:\n    stages: []\n", 3, "stages of stream 'web' is an empty list"),
        (stages("{name: done, kind: done, when: [{status: Done}]}"), 4, "has only one stage; write at least two"),
        (SMALL + "  web: {stages: []}\n", 6, "the key 'web' twice, first in line 2; keep one"),
        (with_stage(f"{{kind: active, {WHEN}}}"), 4, "stage 1 of stream 'web' has no name"),
        (with_stage(f"{{name: In Review, kind: active, {WHEN}}}"), 4, "write in-review"),
        (with_stage(f"{{name: 2024-01-01, kind: active, {WHEN}}}"), 4, "reads '2024-01-01' as a date"),
        (with_stage(f"{{name: {'a' * 64}, kind: active, {WHEN}}}"), 4, f"write {'a' * 63}"),
        (with_stage(f"{{name: work, {WHEN}}}"), 4, "stage 'work' has no kind; write kind: queue, active or done"),
        (with_stage(f"{{name: work, kind: [active], {WHEN}}}"), 4, "kind of stage 'work' must be text, not a list"),
        (with_stage(f"{{name: work, kind: zzz, {WHEN}}}"), 4, "can't be 'zzz'; write one of queue, active, done"),
        (with_stage(f"{{{WORK}}}"), 4, "nothing can enter stage 'work': it has no when"),
        (with_stage(f"{{{WORK}, when: []}}"), 4, "when of stage 'work' is an empty list"),
        (with_stage(f"{{{WORK}, when: {{status: Doing}}}}"), 4, "when of stage 'work' must be a list, not a map"),
        (with_stage(f"{{{WORK}, when: [Doing]}}"), 4, "an entry of when of stage 'work' must be a map"),
        (with_stage(f"{{{WORK}, when: [{{}}]}}"), 4, "has no status, label or signal; write one of them"),
        (with_stage(f"{{{WORK}, when: [{{state: Doing}}]}}"), 4, "unknown key 'state' in an entry of when"),
        (with_stage(f"{{{WORK}, when: [{{status: [A, B]}}]}}"), 4, "write an entry {status: …} for each of them"),
        (with_stage(f"{{{WORK}, when: [{{status: 12}}]}}"), 4, "YAML reads '12' as a number, not as text"),
        (with_stage(f"{{{WORK}, when: [{{status: 2024-01-01}}]}}"), 4, "as a date, not as text; put it in quotes"),
        (with_stage(f"{{{WORK}, when: [{{status: null}}]}}"), 4, "YAML reads 'null' as nothing, not as text"),
        (with_stage(f"{{{WORK}, when: [{{status: }}]}}"), 4, "status in when of stage 'work' is empty; write a text"),
        (with_stage(f"{{{WORK}, when: [{{status: !!binary aGk=}}]}}"), 4, "write plain text, without a tag"),
        (with_stage(f'{{{WORK}, when: [{{status: "\\ud800"}}]}}'), 4, "holds half a character"),
        (with_stage(f"{{{WORK}, when: [{{status: A}}, {{status: A}}]}}"), 4, "claims status 'A', which stage 'work'"),
        (with_stage(f"{{{WORK}, {WHEN}, wip_limit: 0}}"), 4, "must be a whole number from 1, not '0'"),
        (with_stage(f"{{{WORK}, {WHEN}, wip_limit: 010}}"), 4, "must be a whole number from 1, not '010'"),
        (with_stage(f"{{{WORK}, {WHEN}, wip_limit: 2.5}}"), 4, "must be a whole number from 1, not '2.5'"),
        (with_stage(f"{{{WORK}, {WHEN}, wip_limit: '3'}}"), 4, "must be a whole number from 1, not the text '3'"),
        (with_stage(f"{{{WORK}, {WHEN}, sle: {{}}}}"), 4, "exactly one percentile; write {p85: 3d}"),
        (with_stage(f"{{{WORK}, {WHEN}, sle: {{p50: 1d, p85: 3d}}}}"), 4, "exactly one percentile"),
        (with_stage(f"{{{WORK}, {WHEN}, sle: {{p100: 3d}}}}"), 4, "can't be for 'p100'; write a percentile"),
        (with_stage(f"{{{WORK}, {WHEN}, sle: {{p85: 3}}}}"), 4, "'3' is not a duration; write a number and s, m, h"),
        (with_stage(f"{{{WORK}, {WHEN}, sle: {{p85: 0d}}}}"), 4, "'0d' is no time at all"),
        (with_stage(f"{{{WORK}, {WHEN}, commitment: 'true'}}"), 4, "must be true or false, not the text 'true'"),
        (with_stream_key("match: CHK"), 3, "match of stream 'web' must be a map, not the text 'CHK'"),
        (with_stream_key("match: {projct: CHK}"), 3, "unknown key 'projct' in match of stream 'web'; write project"),
        (with_stream_key("match: {project: 12}"), 3, "YAML reads '12' as a number"),
        (with_stream_key("match: {project: [A, A]}"), 3, "project in match of stream 'web' has 'A' twice"),
        (with_stream_key("match: {project: []}"), 3, "project in match of stream 'web' is an empty list"),
        (with_stream_key(r"item_keys: 'CHK-\d+'"), 3, r"not the text 'CHK-\d+'; write ['CHK-\d+']"),
        (with_stream_key("item_keys: ['CHK-(']"), 3, "'CHK-(' is not a regex: missing )"),
        (with_stream_key("item_keys: ['[[a]-1']"), 3, "'[[a]-1' is not a regex: Possible nested set"),
        (with_stream_key("item_keys: ['a{99999999999}']"), 3, "is not a regex"),
        (with_stream_key("item_keys: ['[0-9]*']"), 3, "'[0-9]*' finds empty text too"),
        (with_stream_key(f"item_keys: ['{'(' * 201}']"), 3, "is longer than 200 characters"),
        (with_stream_key("labels: [a]"), 3, "labels of stream 'web' must be a map, not a list"),
        (with_stream_key("labels: {tier: 1}"), 3, "'tier' in labels of stream 'web': YAML reads '1' as a number"),
        (with_stream_key("labels: {value-stream: a}"), 3, "not a label name of Prometheus; write value_stream"),
        (with_stream_key("labels: {__a: a}"), 3, "'__a' is not a label name of Prometheus; write a"),
        (with_stream_key("labels: {stage: a}"), 3, "stage is a label of Streamgauge's own; take another name"),
        (with_stream_key("targets: {cycle_time_p58: 1d}"), 3, "unknown key 'cycle_time_p58'"),
        (with_stream_key("targets: {lead_time_p50: 12}"), 3, "'12' is not a duration"),
        (with_stream_key("targets: {flow_efficiency: 40}"), 3, "can't be over 1; write a share of 1: 0.4 for 40%"),
        (with_stream_key("targets: {flow_efficiency: 40%}"), 3, "must be a number from 0, not the text '40%'"),
        (with_stream_key("targets: {wip: 1:30}"), 3, "must be a number from 0, not '1:30'"),
        (with_stream_key("targets: {wip: .inf}"), 3, "must be a number from 0, not '.inf'"),
        (with_stream_key("types: {other: [Thing]}"), 3, "other is kept for what no type claims"),
        (with_stream_key("types: {feature: Story}"), 3, "must be a list, not the text 'Story'; write ['Story']"),
        (with_stream_key("types: {a: [Story], b: [story]}"), 3, "'story' is a word for 'a' and for 'b'"),
        (with_stream_key("types: {Tech Debt: [Chore]}"), 3, "write tech-debt"),
        (with_stream_key("windows: 7d"), 3, "must be a list, not the text '7d'"),
        (with_stream_key("windows: [732d]"), 3, "'732d' is over two years; write a duration from 1s to 731d"),
        (with_stream_key("windows: [90s]"), 3, "'90s' is not whole minutes"),
        (with_stream_key("windows: [1d, 24h]"), 3, "'24h' is as long as '1d'; keep one of them"),
        (with_stream_key("<<: 3"), 3, "<< in stream 'web' must name a map, not '3'"),
        (with_stream_key("? [a]\n    : b"), 3, "a key of stream 'web' must be text, not a list"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, words: str) -> None:
    problem = problems_of(text)[0]
    assert problem.startswith(f"streams.yaml:{line}: ")
    assert words in problem


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("{signal: change.open}", "can't be 'change.open'; write change.opened"),
        ("{signal: deploy}", "write one of change.opened, change.merged"),
        ("{signal: change.opened, environment: production}", "an environment, which only deployments and incidents"),
        ("{status: Doing, environment: production}", "an environment, which only deployments and incidents"),
        ("{environment: production}", "has no status, label or signal"),
        ("{status: Doing, signal: change.opened}", "asks one event for a signal and for a status or label"),
    ],
)
def test_a_condition_that_can_never_hold_is_a_mistake(condition: str, words: str) -> None:
    text = with_stage(f"{{{WORK}, when: [{condition}]}}")
    assert words in only_problem_of(text.replace("    stages:", "    item_keys: ['W-[0-9]+']\n    stages:"))


@pytest.mark.parametrize("signal", ["deployment.rolled_back", "incident.opened"])
def test_deployments_and_incidents_may_be_asked_for_an_environment(signal: str) -> None:
    text = with_stage(f"{{{WORK}, when: [{{signal: {signal}, environment: production}}]}}")
    stream = read_definitions(text.replace("    stages:", "    item_keys: ['W-[0-9]+']\n    stages:")).streams["web"]
    assert stream.stages[0].when == (Condition(signal=signal, environment="production"),)


def test_a_signal_without_item_keys_can_reach_no_item() -> None:
    problem = only_problem_of(with_stage(f"{{{WORK}, when: [{{signal: change.opened}}]}}"))
    assert "waits for the signal change.opened, and stream 'web' has no item_keys" in problem


def test_two_stages_may_not_have_one_name() -> None:
    text = stages(
        "{name: work, kind: queue, when: [{status: A}]}",
        "{name: work, kind: active, when: [{status: B}]}",
        "{name: done, kind: done, when: [{status: C}]}",
    )
    assert only_problem_of(text) == (
        "streams.yaml:5: stream 'web' has two stages named 'work', the first in line 4; give one of them another name"
    )


def test_two_stages_may_not_claim_the_same() -> None:
    text = stages(
        "{name: a, kind: queue, when: [{status: Doing}]}",
        "{name: b, kind: active, when: [{status: Doing, label: x}, {status: Doing}]}",
        "{name: done, kind: done, when: [{status: Done}]}",
    )
    assert only_problem_of(text) == (
        "streams.yaml:5: stage 'b' claims status 'Doing', which stage 'a' claims in line 4; keep it in one place"
    )


def test_two_stages_may_not_both_be_the_commitment() -> None:
    text = stages(
        "{name: a, kind: queue, when: [{status: A}], commitment: true}",
        "{name: b, kind: active, when: [{status: B}], commitment: true}",
        "{name: done, kind: done, when: [{status: Done}], commitment: false}",
    )
    assert "stage 'b' is marked commitment: true, and so is stage 'a'; mark one" in only_problem_of(text)


def test_a_stream_must_have_a_way_out() -> None:
    text = stages("{name: a, kind: queue, when: [{status: A}]}", "{name: b, kind: active, when: [{status: B}]}")
    assert "has no stage of kind done, so no item ever leaves it" in only_problem_of(text)


def test_a_stream_must_have_a_stage_before_done() -> None:
    text = stages("{name: a, kind: done, when: [{status: A}]}", "{name: b, kind: done, when: [{status: B}]}")
    assert "has only stages of kind done" in only_problem_of(text)


def test_stages_of_kind_done_stand_last() -> None:
    text = stages(
        "{name: a, kind: queue, when: [{status: A}]}",
        "{name: closed, kind: done, when: [{status: B}]}",
        "{name: c, kind: active, when: [{status: C}]}",
    )
    assert only_problem_of(text) == (
        "streams.yaml:6: stage 'c' stands after stage 'closed', which is of kind done; put the stages of kind done last"
    )


def two_streams(second: str) -> str:
    return f"streams:\n  one:\n    match: {{project: ONE}}\n    stages:{STAGES}  two:\n{second}    stages:{STAGES}"


def test_beside_other_streams_one_without_match_and_item_keys_gets_nothing() -> None:
    problem = only_problem_of(two_streams(""))
    assert "nothing can arrive in stream 'two': it has no match and no item_keys; write match:" in problem
    assert "no match and no item_keys" in only_problem_of(two_streams("    match: {}\n"))


def test_beside_other_streams_statuses_need_a_match() -> None:
    problem = only_problem_of(two_streams("    item_keys: ['TWO-[0-9]+']\n"))
    assert "no status or label can arrive in stream 'two': it has no match" in problem


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("streams:\n\tweb: 1\n", 2, "indent with spaces, not with tabs"),
        ("streams:\n  web: a: b\n", 2, "put text that holds a colon in quotes"),
        ("streams:\n  web: *stages\n", 2, "undefined alias 'stages'; define it before"),
        ("streams: {}\n---\nstreams: {}\n", 2, "keep one document"),
        ("streams: [\n", 2, "check the indentation, the quotes and the brackets"),
        ("a: 1\nb: \x07\n", 2, "the character U+0007; write plain UTF-8"),
        ('a: 1\nb: "\\UFFFFFFFF"\n', 2, "not YAML"),
        ('a: 1\nb: "\\U00FFFFFF"\n', 2, "not YAML"),
        ("%YAML " + "9" * 5000 + ".1\n---\na\n", 1, "not YAML"),
        ("streams: &a\n  web: *a\n", 2, "an alias stands inside what it names"),
        ("streams: &a [{<<: *a}]\n", 1, "an alias stands inside what it names"),
        ("[" * 10_000, 1, "nested too deeply"),
        ("a: " + "x" * 1024 * 1024, 1, "the file is over 1 MiB"),
    ],
)
def test_what_is_not_yaml_is_one_problem_with_its_line(text: str, line: int, words: str) -> None:
    problem = only_problem_of(text)
    assert problem.startswith(f"streams.yaml:{line}: ")
    assert words in problem


def test_a_few_aliases_that_stand_for_millions_of_values_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "more than 250000 values; define fewer streams, or use fewer aliases" in only_problem_of("\n".join(lines))


def test_aliases_that_nest_ever_deeper_are_refused() -> None:
    lines = ["- &a0 {k: v}", *(f"- &a{n} {{<<: *a{n - 1}}}" for n in range(1, 5000))]
    assert "nested too deeply by aliases" in only_problem_of("\n".join(lines))


def test_a_problem_met_again_through_an_alias_counts_once() -> None:
    text = """streams:
  one: {match: {project: A}, stages: &stages [{name: a, kind: queue, when: [{status: 1}]},
    {name: done, kind: done, when: [{status: Done}]}]}
  two: {match: {project: B}, stages: *stages}
"""
    assert "YAML reads '1' as a number" in only_problem_of(text)


def test_user_text_in_a_message_stays_on_one_short_line() -> None:
    problem = only_problem_of(with_stage(f'{{name: "{"a" * 500}\\nb", kind: active, {WHEN}}}'))
    assert "\n" not in problem
    assert len(problem) < 300


PROBLEM = re.compile(r"streams\.yaml:([1-9][0-9]*): [^\n]+; [^\n]+")


def is_read_or_explained(text: str) -> bool:
    """Whether the text is read, or else every problem has the promised form, in line order."""
    try:
        return isinstance(read_definitions(text), Definitions)
    except DefinitionError as error:
        matches = [PROBLEM.fullmatch(problem) for problem in error.problems]
        lines = [int(match[1]) for match in matches if match]
        well_formed = bool(matches) and len(lines) == len(matches) and lines == sorted(lines)
        return well_formed and bool(error.message.encode())


@given(st.text() | st.text(alphabet="streams:\n -{}[]&*<!?|>'\"\\%@,aU0.#\t\ufeff\u2028\x85"))
@example("\ufeffstreams: {}")
@example("\ud800")
@example("? ")
@example("!<")
@example("!!map []")
@example("&a !!str *a")
@settings(max_examples=300, deadline=None)
def test_no_text_raises_anything_but_a_definition_error(text: str) -> None:
    assert is_read_or_explained(text)


WORDS = """[] {} 3 Yes null ~ '' 2024-01-01 !y *stages &stages <<: ? | > "\\uD800" 1e999 0x1F = status done :"""
PIECES = [*WORDS.split(), "!!int x", "a: b", "- a", "\t", "\n", "\n---\n", "# "]


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_a_mutated_file_is_read_or_explained(data: st.DataObject) -> None:
    text = WHOLE
    for _ in range(data.draw(st.integers(1, 4))):
        words = [match.span() for match in re.finditer(r"[\w.\\+'-]+|[^\w\s]|\s+", text)]
        start, end = data.draw(st.sampled_from(words)) if words else (0, 0)
        text = text[:start] + data.draw(st.sampled_from(PIECES) | st.just("") | st.text(max_size=3)) + text[end:]
    assert is_read_or_explained(text)


NODES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 12)
    | st.floats()
    | st.sampled_from(["a", "3d", "p85", "done", "CHK-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "when", "p85", "x"]), inner),
    max_leaves=6,
)
KEYS = ["match", "item_keys", "labels", "stages", "targets", "types", "windows"]
STAGE = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["name", "kind", "when", "wip_limit", "sle", "commitment"], NODES)
)


@given(
    st.dictionaries(
        st.sampled_from(["web", "Shop 1", "no"]),
        NODES | st.fixed_dictionaries({"stages": st.lists(STAGE, max_size=3)}, optional=dict.fromkeys(KEYS[:3], NODES)),
    )
)
@settings(max_examples=200, deadline=None)
def test_wrong_types_anywhere_are_explained(streams: object) -> None:
    yaml = pytest.importorskip("yaml")
    assert is_read_or_explained(yaml.safe_dump({"streams": streams}))


# --- deliveries ------------------------------------------------------------------------------------------------------


def with_deliveries(lines: str) -> str:
    """A file that is right but for what begins in its last line but one."""
    return f"{SMALL}deliveries:\n{lines}"


def test_the_first_entry_that_fits_a_lane_holds_for_it() -> None:
    text = with_deliveries(
        "  - {service: [shop, mail], environment: production, targets: {change_fail_rate: 0.1}}\n"
        "  - {environment: production, targets: {failed_deployment_recovery_time: 4h, change_fail_rate: 0.15}}\n"
    )
    targets_of = read_definitions(text).targets_of_lane
    assert targets_of("shop", "production") == LaneTargets(("shop", "mail"), ("production",), 0.1)
    assert targets_of("search", "production") == LaneTargets((), ("production",), 0.15, 4 * HOUR)
    assert targets_of("shop", "staging") == LaneTargets()


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [
        ("{environment: production}", "an entry of deliveries has no targets"),
        ("{targets: {change_fail_rate: 15}}", "can't be over 1; write a share of 1: 0.15 for 15%"),
        ("{targets: {change_fail_rate: -1}}", "must be a number from 0"),
        ("{targets: {failed_deployment_recovery_time: soon}}", "'soon' is not a duration"),
        ("{targets: {mean_time_to_recovery: 4h}}", "unknown key 'mean_time_to_recovery'"),
        ("{service: [], targets: {change_fail_rate: 0.1}}", "is an empty list"),
        ("{team: [a], targets: {change_fail_rate: 0.1}}", "unknown key 'team'"),
        ("production", "must be a map"),
    ],
)
def test_a_wrong_target_of_deliveries_is_told_with_its_line(entry: str, wrong: str) -> None:
    text = with_deliveries(f"  - {entry}\n")
    problem = only_problem_of(text)
    assert wrong in problem
    assert problem.startswith(f"streams.yaml:{len(text.splitlines())}: ")


def test_deliveries_are_a_list() -> None:
    assert "deliveries must be a list" in only_problem_of(with_deliveries("  production: 4\n"))
