"""Blocks hold every line once, in order by partition, and never more than they may."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from flow.facts import ItemFact, decode_fact, partition_of, subject_key
from service.log_blocks import MOST_BYTES, MOST_FACTS, blocks_of, lines_of

LINES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([10, 1000, MOST_BYTES // 2, MOST_BYTES + 1])), max_size=30
)


@given(st.lists(LINES, max_size=6))
def test_blocks_hold_every_line_once_in_order_and_within_bounds(appends):
    loop = asyncio.new_event_loop()
    group = [
        (
            [(partition, b"%d/%d" % (number, index) + b" " * size) for index, (partition, size) in enumerate(lines)],
            loop.create_future(),
        )
        for number, lines in enumerate(appends)
    ]
    blocks = blocks_of(group)
    loop.close()
    for partition in range(3):
        wanted = [line for lines, _ in group for where, line in lines if where == partition]
        assert [line for block in blocks if block.partition == partition for line in block.lines] == wanted
    for block in blocks:
        assert len(block.lines) == 1 or sum(map(len, block.lines)) <= MOST_BYTES
        own = {id(waiting) for lines, waiting in group if any(line in block.lines for _, line in lines)}
        assert {id(waiting) for waiting in block.waiting} == own
        assert len(block.waiting) == len(own)


def test_a_block_holds_a_bounded_number_of_facts():
    loop = asyncio.new_event_loop()
    lines = [(0, b"%d" % number) for number in range(MOST_FACTS * 2 + 1)]
    sizes = [len(block.lines) for block in blocks_of([(lines, loop.create_future())])]
    loop.close()
    assert sizes == [MOST_FACTS, MOST_FACTS, 1]


def test_a_fact_goes_to_the_partition_of_its_subject():
    facts = [ItemFact(id=str(number), source="acme", item=f"CHK-{number}", at=number) for number in range(50)]
    lines = lines_of(facts, 4)
    assert [decode_fact(line) for _, line in lines] == facts
    assert [partition for partition, _ in lines] == [partition_of(subject_key(fact), 4) for fact in facts]
    assert {partition for partition, _ in lines} == {0, 1, 2, 3}
