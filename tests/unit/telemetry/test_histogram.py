"""A value on a bound lies below it; sums are exact; the bounds are those that were asked for."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.telemetry.histogram import (
    GEN_AI_DURATION,
    GEN_AI_TOKENS,
    LATENCY,
    OVERHEAD,
    Histogram,
)


def test_a_value_on_a_bound_lies_below_it() -> None:
    histogram = Histogram((10, 20))
    for value in (10, 11, 20, 21):
        histogram.observe(value)
    assert histogram.counts == [1, 2, 1]
    assert list(histogram.cumulative()) == [1, 3, 4]


@given(st.lists(st.integers(0, 2**40)))
def test_every_value_is_counted_once_and_summed_exactly(values: list[int]) -> None:
    histogram = Histogram(LATENCY)
    for value in values:
        histogram.observe(value)
    assert (histogram.count, histogram.total) == (len(values), sum(values))
    below = [sum(value <= bound for value in values) for bound in LATENCY]
    assert list(histogram.cumulative()) == [*below, len(values)]


def test_the_bounds() -> None:
    assert OVERHEAD[:3] == (100, 250, 500)
    assert (LATENCY[0], LATENCY[-1], len(LATENCY)) == (5_000, 600_000_000, 17)
    assert (GEN_AI_TOKENS[0], GEN_AI_TOKENS[-1]) == (1, 67_108_864)
    assert (GEN_AI_DURATION[0], GEN_AI_DURATION[-1]) == (10_000, 81_920_000)
