from flow.deadline import Deadline


def test_what_remains_shrinks_with_the_clock():
    deadline = Deadline(10_000, 2.5)
    assert [deadline.remaining(now) for now in (10_000, 11_000, 12_250)] == [2.5, 1.5, 0.25]


def test_nothing_remains_once_it_has_passed():
    deadline = Deadline(10_000, 2.5)
    assert deadline.remaining(12_500) == 0.0
    assert deadline.remaining(99_000) == 0.0
