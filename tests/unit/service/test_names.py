from __future__ import annotations

import pytest

from service.names import near_names


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("reveiw", ["develop", "review"], "near it: review"),
        ("xyz", ["develop", "review"], "there are: develop, review"),
        ("xyz", [], "no stage is called 'xyz'"),
    ],
)
def test_a_missing_name_is_told_with_what_comes_near(name, known, said):
    assert near_names("stage", name, known).endswith(said)


def test_a_huge_name_and_many_known_ones_are_cut():
    said = near_names("item", "x" * 10_000, [f"{'y' * 9}{number}" for number in range(1000)])
    assert len(said) < 500
