"""What an item is worth: cost of delay and WSJF."""

from __future__ import annotations

from typing import Any

import pytest

from flow.entries import About
from flow.worth import Worth, missing_numbers, worth_of

ALL: dict[str, Any] = {"value": 8.0, "criticality": 3.0, "risk_reduction": 1.0, "size": 2.0}


def test_wsjf_is_the_cost_of_delay_by_the_size():
    assert worth_of(About(**ALL)) == Worth(8000, 12_000, 6.0)
    assert missing_numbers(About(**ALL)) == []


@pytest.mark.parametrize("name", ALL)
def test_without_one_of_the_four_numbers_there_is_no_wsjf_and_it_is_named(name):
    about = About(**{key: value for key, value in ALL.items() if key != name})
    worth = worth_of(about)
    assert worth is not None
    assert worth.wsjf is None
    assert missing_numbers(about) == [name]


@pytest.mark.parametrize("size", [0.0, -1.0, 0.0004, 5e-324])
def test_a_size_that_is_nothing_is_a_missing_number_and_divides_nothing(size):
    about = About(**ALL | {"size": size})
    assert worth_of(about) == Worth(8000, 12_000, None)
    assert missing_numbers(about) == ["size"]


def test_what_was_said_adds_up_although_something_was_not():
    assert worth_of(About(criticality=3, risk_reduction=1.5)) == Worth(None, 4500, None)


def test_of_an_item_without_value_nothing_is_known_whatever_its_size():
    assert worth_of(About(size=3)) is None
    assert worth_of(About(title="Pay by card")) is None


def test_the_largest_numbers_that_facts_may_carry_have_a_finite_wsjf():
    worth = worth_of(About(value=1e12, criticality=1e12, risk_reduction=1e12, size=0.001))
    assert worth is not None
    assert worth.wsjf == pytest.approx(3e15)
