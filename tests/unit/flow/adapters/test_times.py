import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.adapters.times import provider_time
from flow.instants import parse_instant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-05-15T15:20:55Z", "2026-05-15T15:20:55Z"),
        ("2026-05-15t15:20:55z", "2026-05-15T15:20:55Z"),
        ("2026-02-15T19:14:22.002-0800", "2026-02-16T03:14:22.002Z"),
        ("2026-06-08T17:19:35-04:00", "2026-06-08T21:19:35Z"),
        ("2026-12-10 16:38:25 UTC", "2026-12-10T16:38:25Z"),
        ("2026-04-28 21:50:00 +0200", "2026-04-28T19:50:00Z"),
        ("2026-08-07T15:41:56.5943909Z", "2026-08-07T15:41:56.594Z"),
        ("2026-08-07T15:41:56.594390912Z", "2026-08-07T15:41:56.594Z"),
        (1767225600, "2026-01-01T00:00:00Z"),
        (1767225600.25, "2026-01-01T00:00:00.250Z"),
        (1767225600123, "2026-01-01T00:00:00.123Z"),
        (1767225600123456, "2026-01-01T00:00:00.123Z"),
        (1767225600123456789, "2026-01-01T00:00:00.123Z"),
        ("1767225600123", "2026-01-01T00:00:00.123Z"),
    ],
)
def test_every_shape_that_providers_write_is_read(written, meant):
    assert provider_time(written) == parse_instant(meant)


@pytest.mark.parametrize(
    "nothing", [None, "", "  ", 0, "0", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+05:00"]
)
def test_a_sentinel_is_no_time(nothing):
    assert provider_time(nothing) is None


@pytest.mark.parametrize(
    "junk", ["soon", "2026-05-15", "2026-05-15T15:20:55", -1, 10**20, float("nan"), float("inf"), "9" * 40, "x" * 5000]
)
def test_what_is_no_time_is_refused(junk):
    with pytest.raises(ValueError, match=r"."):
        provider_time(junk)


@given(st.one_of(st.text(), st.integers(), st.floats()))
def test_nothing_but_a_value_error_escapes(value):
    try:
        instant = provider_time(value)
    except ValueError:
        return
    assert instant is None or isinstance(instant, int)
