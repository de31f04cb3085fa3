"""What comes out of Kafka, whoever put it in: one line a value, one letter a message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.kafka_letters import letter_fields
from consumers.kafka_records import lines_of
from flow.dead_letters import read_letter
from flow.facts import ItemFact, decode_facts, encode_fact


@given(st.lists(st.one_of(st.none(), st.binary(max_size=8), st.sampled_from([b"\n", b"a\n", b"\n\n"])), min_size=1))
def test_there_are_as_many_lines_as_values(values):
    lines = lines_of(values).split(b"\n")
    assert lines == [(value or b"").replace(b"\n", b" ") for value in values]


def test_facts_stay_as_they_are():
    facts = [
        ItemFact(id="1", source="s", item="i", at=1, title="two\nlines"),
        ItemFact(id="2", source="s", item="i", at=2),
    ]
    assert decode_facts(lines_of([encode_fact(fact) for fact in facts])) == facts


def test_a_letter_of_a_receiver_keeps_all_its_fields():
    headers = [("kind", b"delivery"), ("source", b"jira"), ("reason", b"not_understood"), ("message", b"m")]
    fields = letter_fields([*headers, ("at", b"7"), ("headers", b"{}")], b"body")
    letter = read_letter(b"1-1", {name.encode(): value for name, value in fields.items()})
    assert (letter.kind, letter.source, letter.reason, letter.at, letter.body) == (
        "delivery",
        "jira",
        "not_understood",
        7,
        b"body",
    )


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["kind", "source", "reason", "message", "at", "headers", "x"]),
            st.one_of(st.none(), st.binary()),
        )
    ),
    st.one_of(st.none(), st.binary()),
)
def test_whatever_else_is_in_the_topic_can_be_read_as_a_letter(headers, body):
    fields = letter_fields(headers, body)
    letter = read_letter(b"1-1", {name.encode(): value for name, value in fields.items()})
    assert letter.body == (body or b"")
    assert letter.at >= 0
