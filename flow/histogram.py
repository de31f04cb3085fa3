"""Histograms of durations with a bounded relative error, that merge and subtract.

A histogram is a sparse map from bin to count. Durations are whole milliseconds. Below 32 ms each bin is one
millisecond; above, every power of two is cut into 16 bins of equal width (the layout of HdrHistogram with five
significant bits), so a bin's middle is within 1/32 (3.1%) of every duration in it. Bins are computed with integers
only: every machine and every order of arrival agrees on them, and adding or subtracting counts is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

EXACT_BELOW: Final = 32
BINS_PER_OCTAVE: Final = 16


def bin_of(duration: int) -> int:
    """The bin of a duration in milliseconds, 0 ≤ duration.

    >>> bin_of(0), bin_of(31), bin_of(32), bin_of(34), bin_of(86_400_000)
    (0, 31, 32, 33, 372)
    """
    shift = duration.bit_length() - 5
    return duration if shift <= 0 else BINS_PER_OCTAVE * shift + (duration >> shift)


def bounds_of(index: int) -> tuple[int, int]:
    """The durations of a bin: lowest, and the lowest of the next bin, in milliseconds.

    >>> bounds_of(31), bounds_of(33)
    ((31, 32), (34, 36))
    """
    if index < EXACT_BELOW:
        return index, index + 1
    shift = index // BINS_PER_OCTAVE - 1
    low = (index % BINS_PER_OCTAVE + BINS_PER_OCTAVE) << shift
    return low, low + (1 << shift)


def middle_of(index: int) -> float:
    """The duration in milliseconds that stands for a bin; exact where the bin holds one duration."""
    low, high = bounds_of(index)
    return (low + high - 1) / 2


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The duration in milliseconds that `share` of the observations do not exceed (nearest rank), 0 < share ≤ 1.

    None when nothing was observed. Off by at most the half width of its bin.

    >>> quantile({10: 1, 20: 2, 30: 1}, 0.5)
    20.0
    """
    total = sum(counts.values())
    if total <= 0:
        return None
    rank, seen = ceil(share * total), 0
    for index in sorted(counts):
        seen += counts[index]
        if seen >= rank:
            return middle_of(index)
    return middle_of(max(counts))
