"""Which stage a fact means, which streams it belongs to, and which items free text names."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.definition_stages import SIGNALS
from flow.definitions import Condition, Definitions, Match, Stage, Stream
from flow.entries import Flags
from flow.facts import (
    ChangeFact,
    ChangeState,
    DeploymentFact,
    DeploymentState,
    IncidentState,
    ItemFact,
    SignalFact,
)
from flow.matching import LONGEST_TEXT, MOST_NAMED, MOST_REMEMBERED, Router, StageMap, item_key_pattern


def a_stream(
    *whens: list[Condition], name: str = "web", match: Match | None = None, keys: tuple[str, ...] = ()
) -> Stream:
    stages = tuple(Stage(f"stage-{index}", "active", tuple(when)) for index, when in enumerate(whens))
    return Stream(name, stages, match or Match(), keys)


def an_item(
    status: str | None = None,
    labels: tuple[str, ...] | None = None,
    *,
    source: str = "acme",
    project: str | None = "CHK",
    team: str | None = None,
) -> ItemFact:
    return ItemFact(id="1", source=source, item="CHK-1", at=0, status=status, labels=labels, project=project, team=team)


def a_signal(signal: str, environment: str | None = None, item: str = "CHK-1") -> SignalFact:
    return SignalFact(id="1", source="acme", item=item, at=0, signal=signal, environment=environment)


def a_router(*streams: Stream) -> Router:
    return Router(Definitions({stream.name: stream for stream in streams}))


class TestStageMap:
    def test_a_status_means_the_stage_that_claims_it_exactly(self) -> None:
        stage_map = StageMap(a_stream([Condition(status="To Do")], [Condition(status="Doing")]))
        assert stage_map.stage_of(an_item("Doing")) == 1
        assert stage_map.stage_of(an_item("doing")) is None
        assert stage_map.stage_of(an_item("Parked")) is None
        assert stage_map.stage_of(an_item(None, ("Doing",))) is None

    def test_the_statuses_are_there_for_a_plain_lookup_while_no_label_is_asked_for(self) -> None:
        plain = StageMap(a_stream([Condition(status="A")], [Condition(status="B"), Condition(signal="change.opened")]))
        assert (plain.by_status, plain.has_labels) == ({"A": 0, "B": 1}, False)
        labelled = StageMap(a_stream([Condition(status="A")], [Condition(status="B", label="x")]))
        assert (labelled.by_status, labelled.has_labels) == ({"A": 0}, True)

    def test_a_label_of_a_later_stage_beats_an_earlier_status(self) -> None:
        stage_map = StageMap(a_stream([Condition(status="open")], [Condition(label="in-progress")]))
        assert stage_map.stage_of(an_item("open", ("web", "in-progress"))) == 1
        assert stage_map.stage_of(an_item("open", ("web",))) == 0
        assert stage_map.stage_of(an_item(None, ("in-progress",))) == 1

    def test_a_later_status_beats_a_stale_label(self) -> None:
        stage_map = StageMap(a_stream([Condition(label="in-progress")], [Condition(status="closed")]))
        assert stage_map.stage_of(an_item("closed", ("in-progress",))) == 1

    def test_of_two_labels_the_one_of_the_later_stage_wins_whatever_their_order(self) -> None:
        stage_map = StageMap(a_stream([Condition(label="doing")], [Condition(label="review")]))
        assert stage_map.stage_of(an_item("open", ("review", "doing"))) == 1
        assert stage_map.stage_of(an_item("open", ("doing", "review"))) == 1

    def test_all_properties_of_a_condition_must_hold(self) -> None:
        stage_map = StageMap(a_stream([Condition(status="open", label="doing")]))
        assert stage_map.stage_of(an_item("open", ("doing",))) == 0
        assert stage_map.stage_of(an_item("closed", ("doing",))) is None
        assert stage_map.stage_of(an_item("open", ("web",))) is None
        assert stage_map.stage_of(an_item(None, ("doing",))) is None

    def test_a_signal_with_an_environment_needs_that_environment(self) -> None:
        stage_map = StageMap(
            a_stream([Condition(signal="deployment.succeeded", environment="production")], [Condition(status="x")])
        )
        assert stage_map.stage_of(a_signal("deployment.succeeded", "production")) == 0
        assert stage_map.stage_of(a_signal("deployment.succeeded", "staging")) is None
        assert stage_map.stage_of(a_signal("deployment.succeeded")) is None
        assert stage_map.stage_of(a_signal("deployment.failed", "production")) is None

    @pytest.mark.parametrize(("anywhere", "there"), [(0, 1), (1, 0)])
    def test_of_a_signal_anywhere_and_in_one_environment_the_later_stage_wins(self, anywhere: int, there: int) -> None:
        whens: list[list[Condition]] = [[], []]
        whens[anywhere] = [Condition(signal="deployment.succeeded")]
        whens[there] = [Condition(signal="deployment.succeeded", environment="production")]
        stage_map = StageMap(a_stream(*whens))
        assert stage_map.stage_of(a_signal("deployment.succeeded", "production")) == 1
        assert stage_map.stage_of(a_signal("deployment.succeeded", "staging")) == anywhere

    def test_statuses_and_signals_never_match_each_other(self) -> None:
        stage_map = StageMap(a_stream([Condition(status="change.opened")], [Condition(signal="change.merged")]))
        assert stage_map.stage_of(a_signal("change.opened")) is None
        assert stage_map.stage_of(an_item("change.merged")) is None

    def test_label_answers_stay_right_and_bounded_when_there_are_many(self) -> None:
        stage_map = StageMap(a_stream([Condition(status="open")], [Condition(label="doing")]))
        for number in range(2 * MOST_REMEMBERED + 10):
            assert stage_map.stage_of(an_item("open", (f"label-{number}", "doing"))) == 1
            assert len(stage_map._remembered) <= MOST_REMEMBERED
        assert stage_map.stage_of(an_item("open", ("label-1",))) == 0

    WORDS = st.sampled_from(["a", "b", "c"])
    CONDITIONS = (
        st.builds(Condition, status=WORDS)
        | st.builds(Condition, label=WORDS)
        | st.builds(Condition, status=WORDS, label=WORDS)
        | st.builds(Condition, signal=WORDS, environment=st.none() | WORDS)
    )
    FACTS = st.builds(an_item, st.none() | WORDS, st.none() | st.lists(WORDS, max_size=3).map(tuple)) | st.builds(
        a_signal, WORDS, st.none() | WORDS
    )

    @given(st.lists(st.lists(CONDITIONS, max_size=4), max_size=4), st.lists(FACTS, max_size=6))
    @settings(deadline=None)
    def test_the_last_stage_with_a_condition_that_holds_wins(
        self, whens: list[list[Condition]], facts: list[ItemFact | SignalFact]
    ) -> None:
        stage_map = StageMap(a_stream(*whens))
        for fact in facts:
            claims = [index for index, when in enumerate(whens) if any(holds(condition, fact) for condition in when)]
            expected = claims[-1] if claims else None
            assert stage_map.stage_of(fact) == expected
            assert stage_map.stage_of_entry(*as_entry(fact)) == expected


def as_entry(fact: ItemFact | SignalFact) -> tuple[str | None, Flags]:
    """The word and flags that a timeline keeps of a fact."""
    if isinstance(fact, SignalFact):
        return fact.signal, Flags(signal=True, environment=fact.environment)
    return fact.status, Flags(labels=fact.labels)


def holds(condition: Condition, fact: ItemFact | SignalFact) -> bool:
    """The rule of `Condition`, word for word: all properties that are set must hold of the fact."""
    if isinstance(fact, SignalFact):
        of_item = condition.status is not None or condition.label is not None
        in_place = condition.environment is None or condition.environment == fact.environment
        return not of_item and condition.signal == fact.signal and in_place
    if condition.signal is not None or condition.environment is not None:
        return False
    has_label = condition.label is None or condition.label in (fact.labels or ())
    return has_label and (condition.status is None or condition.status == fact.status)


class TestStreamsOf:
    def test_all_properties_of_a_match_must_hold_and_one_value_of_each(self) -> None:
        match = Match(source=("acme", "jira"), project=("CHK", "PAY"), team=("blue",), label=("web", "shop"))
        router = a_router(a_stream(match=match))
        right = an_item(source="jira", project="PAY", team="blue", labels=("x", "shop"))
        assert router.streams_of(right) == ("web",)
        for wrong in (
            an_item(source="other", project="PAY", team="blue", labels=("shop",)),
            an_item(source="jira", project="OPS", team="blue", labels=("shop",)),
            an_item(source="jira", project=None, team="blue", labels=("shop",)),
            an_item(source="jira", project="PAY", team="red", labels=("shop",)),
            an_item(source="jira", project="PAY", team="blue", labels=("x",)),
            an_item(source="jira", project="PAY", team="blue", labels=None),
        ):
            assert router.streams_of(wrong) == ()

    def test_a_repository_is_the_project_of_the_fact(self) -> None:
        router = a_router(a_stream(match=Match(repository=("acme/shop",))))
        assert router.streams_of(an_item(project="acme/shop")) == ("web",)
        assert router.streams_of(an_item(project="acme/other")) == ()

    def test_a_fact_may_belong_to_several_streams_in_the_order_of_the_definitions(self) -> None:
        router = a_router(
            a_stream(name="zeta", match=Match(project=("CHK",))),
            a_stream(name="none", match=Match(project=("OPS",))),
            a_stream(name="alpha", match=Match(source=("acme",))),
        )
        assert router.streams_of(an_item()) == ("zeta", "alpha")

    def test_streams_with_and_without_a_project_keep_the_order_of_the_definitions(self) -> None:
        router = a_router(
            a_stream(name="shop", match=Match(project=("CHK", "PAY", "CHK"))),
            a_stream(name="all", match=Match(source=("acme",))),
            a_stream(name="code", match=Match(repository=("CHK",))),
            a_stream(name="other", match=Match(project=("OPS",), repository=("CHK",))),
        )
        assert router.streams_of(an_item(project="CHK")) == ("shop", "all", "code")
        assert router.streams_of(an_item(project="PAY")) == ("shop", "all")
        assert router.streams_of(an_item(project="OPS")) == ("all",)
        assert router.streams_of(an_item(project=None)) == ("all",)

    def test_facts_that_differ_only_in_a_matched_property_are_told_apart(self) -> None:
        router = a_router(
            a_stream(name="a", match=Match(label=("a",))),
            a_stream(name="team", match=Match(team=("blue",))),
            a_stream(name="jira", match=Match(source=("jira",))),
        )
        for _ in range(2):
            assert router.streams_of(an_item(labels=("a",))) == ("a",)
            assert router.streams_of(an_item(labels=("b",))) == ()
            assert router.streams_of(an_item(team="blue")) == ("team",)
            assert router.streams_of(an_item(source="jira")) == ("jira",)

    def test_the_only_stream_takes_every_item_when_it_has_no_match(self) -> None:
        assert a_router(a_stream()).streams_of(an_item(project=None)) == ("web",)

    def test_beside_others_a_stream_without_match_takes_no_item(self) -> None:
        router = a_router(a_stream(name="a", match=Match(project=("CHK",))), a_stream(name="b", keys=(r"B-\d+",)))
        assert router.streams_of(an_item()) == ("a",)
        assert router.streams_of(a_signal("change.opened", item="B-7")) == ("b",)

    def test_a_signal_belongs_where_item_keys_name_the_whole_item(self) -> None:
        router = a_router(
            a_stream(name="one", keys=(r"CHK-\d+",), match=Match(project=("nothing",))),
            a_stream(name="two", keys=(r"PAY-\d+", r"[A-Z]+-1"), match=Match(project=("nothing",))),
        )
        assert router.streams_of(a_signal("change.opened", item="CHK-1")) == ("one", "two")
        assert router.streams_of(a_signal("change.opened", item="CHK-2")) == ("one",)
        assert router.streams_of(a_signal("change.opened", item="XCHK-2")) == ()
        assert router.streams_of(a_signal("change.opened", item="CHK-2 ")) == ()

    def test_what_is_remembered_stays_right_and_bounded(self) -> None:
        router = a_router(a_stream(match=Match(label=("web",)), keys=(r"CHK-\d+",)))
        for number in range(2 * MOST_REMEMBERED + 10):
            assert router.streams_of(an_item(labels=(str(number), "web"))) == ("web",)
            assert router.streams_of(a_signal("change.opened", item=f"OPS-{number}")) == ()
            assert max(len(router._matching), len(router._naming)) <= MOST_REMEMBERED
        assert router.streams_of(an_item(labels=("1",))) == ()


class TestItemsNamedIn:
    router = a_router(a_stream(name="chk", keys=(r"CHK-\d",)), a_stream(name="pay", keys=(r"(?i)pay-\d+", r"#\d+")))

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("CHK-1: pay with a card", ("CHK-1",)),
            ("feature/CHK-1_cards", ("CHK-1",)),
            ("fix-CHK-1-now", ("CHK-1",)),
            ("(CHK-1)", ("CHK-1",)),
            ("XCHK-1", ()),
            ("9CHK-1", ()),
            ("éCHK-1", ()),
            ("CHK-12", ()),
            ("CHK-1a", ()),
            ("chk-1", ()),
            ("Pay-33 and PAY-33", ("Pay-33", "PAY-33")),
            ("fixes #7, but not shop#8", ("#7",)),
            ("", ()),
        ],
    )
    def test_a_key_is_found_where_no_letter_or_digit_touches_it(self, text: str, named: tuple[str, ...]) -> None:
        assert self.router.items_named_in([text]) == named

    def test_items_come_once_in_the_order_of_their_first_appearance(self) -> None:
        texts = ["PAY-2 before CHK-3, PAY-2 again", "CHK-1 CHK-3"]
        assert self.router.items_named_in(texts) == ("PAY-2", "CHK-3", "CHK-1")

    def test_at_most_so_many_items_are_named(self) -> None:
        many = [f"PAY-{number} PAY-{number + 1}" for number in range(2 * MOST_NAMED)]
        assert self.router.items_named_in(many) == tuple(f"PAY-{number}" for number in range(MOST_NAMED))
        assert len(self.router.items_named_in([" ".join(many)])) == MOST_NAMED

    def test_texts_are_cut(self) -> None:
        assert self.router.items_named_in([" " * (LONGEST_TEXT - 5) + "CHK-1"]) == ("CHK-1",)
        assert self.router.items_named_in([" " * LONGEST_TEXT + "CHK-1", "CHK-2"]) == ("CHK-2",)

    @given(st.lists(st.text(alphabet="CHKPAYchkpay-#12 _é", max_size=40), max_size=4))
    def test_whatever_is_named_is_an_item_of_a_stream(self, texts: list[str]) -> None:
        named = self.router.items_named_in(texts)
        assert len(set(named)) == len(named)
        assert all(self.router.streams_of(a_signal("change.opened", item=item)) for item in named)


class TestItemKeyPattern:
    @pytest.mark.parametrize(
        "text", [r"(?x) CHK - \d+ # a key", r"(?x)CHK-\d+", r"(?i)chk-\d+", r"A-1|CHK-\d+", r"(CH)K-\d+"]
    )
    def test_flags_comments_and_alternatives_keep_their_meaning(self, text: str) -> None:
        assert item_key_pattern(text).fullmatch("CHK-12")
        assert not item_key_pattern(text).search("XCHK-12")

    def test_what_is_not_a_regex_raises(self) -> None:
        with pytest.raises(re.error):
            item_key_pattern("CHK-(")


class TestSignalsOf:
    router = a_router(a_stream(keys=(r"CHK-\d+",)))

    def test_a_change_says_its_state_of_each_known_item(self) -> None:
        change = ChangeFact(
            id="e",
            source="acme",
            service="shop",
            change="7",
            at=5,
            state="merged",
            seq=2,
            items=("CHK-1", "X-1", "CHK-2"),
        )
        assert self.router.signals_of(change) == [
            SignalFact(id=f"e/{item}", source="acme", item=item, at=5, signal="change.merged", seq=2, service="shop")
            for item in ("CHK-1", "CHK-2")
        ]

    def test_a_deployment_says_its_environment_too(self) -> None:
        deployment = DeploymentFact(
            id="e",
            source="acme",
            service="shop",
            environment="production",
            deployment="d",
            at=5,
            state="rolled_back",
            items=("CHK-1", "CHK-1"),
        )
        [signal] = self.router.signals_of(deployment)
        assert signal == SignalFact(
            id="e/CHK-1",
            source="acme",
            item="CHK-1",
            at=5,
            signal="deployment.rolled_back",
            service="shop",
            environment="production",
        )

    def test_a_change_that_names_no_item_says_nothing(self) -> None:
        assert self.router.signals_of(ChangeFact("e", "acme", "shop", "7", 5, "opened")) == []


def test_the_signals_of_definitions_are_the_states_of_the_facts() -> None:
    states = {"change": ChangeState, "deployment": DeploymentState, "incident": IncidentState}
    assert tuple(f"{subject}.{state}" for subject, words in states.items() for state in get_args(words)) == SIGNALS
