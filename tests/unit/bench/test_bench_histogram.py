"""A histogram tells the quantiles of what it counted as a sorted list would, to 0.4 %."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.harness.histogram import Histogram
from proxy.base.jsonio import dumps, loads

TIMES = st.lists(st.floats(0.0, 5000.0), min_size=1, max_size=200)


def filled(times: list[float]) -> Histogram:
    made = Histogram()
    for seconds in times:
        made.append(seconds)
    return made


@given(times=TIMES, share=st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0]))
def test_quantiles_are_those_of_the_sorted_sample(times: list[float], share: float) -> None:
    exact = sorted(times)[max(1, ceil(round(share * len(times), 6))) - 1]
    [found] = filled(times).quantiles([share])
    assert found == pytest.approx(exact, rel=0.004, abs=1.1e-7)


@given(first=TIMES, second=TIMES)
def test_two_add_up_to_one(first: list[float], second: list[float]) -> None:
    added = filled(first)
    added.add(filled(second))
    whole = filled(first + second)
    shares = [0.1, 0.5, 0.99]
    assert added.quantiles(shares) == whole.quantiles(shares)
    assert (added.total, added.most) == (whole.total, whole.most)
    assert added.mean == pytest.approx(whole.mean)


@given(times=TIMES)
def test_it_survives_a_file(times: list[float]) -> None:
    made = filled(times)
    again = Histogram.from_json(loads(dumps(made.as_json())))
    assert again.quantiles([0.5, 1.0]) == made.quantiles([0.5, 1.0])
    assert (again.total, again.mean, again.most) == (made.total, made.mean, made.most)


def test_nothing_has_no_quantile_and_the_largest_is_exact() -> None:
    assert Histogram().quantiles([0.5, 0.99]) == [0.0, 0.0]
    assert filled([0.001, 1.23456789]).quantiles([1.0]) == [1.23456789]


def test_less_than_nothing_and_more_than_hours_have_a_bucket() -> None:
    made = filled([-1.0, 1e9])
    assert made.total == 2
    assert made.quantiles([0.5]) == [0.0]
