"""The model of several hosts: what it is made of is found again; too little is refused."""

import re
from math import inf, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.hosts.model import (
    OCCASIONS,
    Cost,
    Point,
    batches,
    error,
    fit,
    wakings_of_each,
    wakings_of_one,
    worst,
)
from tests.guard.source_tree import ROOT

amounts = st.floats(1e-5, 1e-2)

LOADS = (
    (1, 0.0), (1, 81.0), (1, 234.1), (2, 0.0), (2, 160.1), (2, 471.8), (3, 0.0), (3, 239.0),
    (3, 708.7), (4, 0.0), (4, 320.6),
)  # fmt: skip
MEASURED = {
    "workers": (6.47, 81.95, 129.46, 9.43, 136.13, 249.37, 16.87, 199.35, 387.05, 16.51, 266.70),
    "controls": (15.64, 38.72, 51.95, 27.86, 66.85, 108.24, 44.53, 97.78, 163.57, 51.74, 148.66),
    "redis": (1.97, 41.99, 75.49, 2.02, 59.30, 127.52, 2.09, 80.94, 172.61, 1.71, 98.95),
    "postgres": (2.07, 7.65, 7.34, 3.76, 13.17, 18.64, 5.64, 19.38, 25.63, 5.87, 25.81),
}
"""The run of docs/scaling.md, thousandths of a core, but for the window that filled the machine."""


def _points(cost: Cost, *hosts: int) -> list[Point]:
    return [
        Point(many, rate * many, cost.cores(many, rate * many))
        for many in hosts
        for rate in (0.0, 100.0, 300.0)
    ]


@given(st.sampled_from(sorted(OCCASIONS)), amounts, amounts, amounts)
def test_what_the_points_are_made_of_is_found(
    part: str, idle: float, request: float, occasion: float
) -> None:
    made = Cost(idle, request, occasion, OCCASIONS[part])
    found = fit(_points(made, 1, 2), OCCASIONS[part])
    assert found[:3] == pytest.approx(made[:3], rel=1e-4, abs=1e-7)
    assert worst(found, _points(made, 3, 4)) < 1e-4


@pytest.mark.parametrize("part", OCCASIONS)
def test_the_document_has_what_the_measured_points_give(part: str) -> None:
    points = [
        Point(hosts, rate, milli / 1000)
        for (hosts, rate), milli in zip(LOADS, MEASURED[part], strict=True)
    ]
    cost = fit([point for point in points if point.hosts <= 2], OCCASIONS[part])
    unseen = worst(cost, [point for point in points if point.hosts > 2 and point.rate])
    text = (ROOT / "docs/scaling.md").read_text()
    [row] = re.findall(
        rf"^\| {part}\w* \| ([\d.]+) \| (\d+) µs \| .* \| (\d+) %", text, re.M | re.I
    )
    assert row == (f"{cost.idle:.4f}", f"{1e6 * cost.per_request:.0f}", f"{100 * unseen:.0f}")
    assert unseen < 0.11


def test_occasions_of_hosts_and_of_one_process() -> None:
    assert batches(3, 0.0) == 0
    assert batches(3, 1000.0) == 3
    assert wakings_of_one(4, 900.0) == 30
    assert wakings_of_each(4, 900.0) == pytest.approx(4 * sqrt(225))


def test_each_point_counts_alike() -> None:
    """A small one that is off by half is not drowned by a large one."""
    points = [Point(1, 0.0, 0.001), Point(1, 10.0, 0.002), Point(1, 1000.0, 0.101)]
    found = fit(points, batches)
    assert abs(error(found, points[1])) < 1e-6


def test_an_error_is_relative_and_has_a_sign() -> None:
    cost = Cost(0.0, 0.001, 0.0, batches)
    assert error(cost, Point(1, 100.0, 0.2)) == pytest.approx(-0.5)
    assert worst(cost, [Point(1, 100.0, 0.2), Point(1, 100.0, 0.1)]) == pytest.approx(0.5)
    assert worst(cost, []) == 0


@pytest.mark.parametrize(
    "points",
    [
        [],
        [Point(1, 100.0, 0.1), Point(1, 300.0, 0.2)],
        [Point(1, 0.0, 0.01)],
        [Point(1, 0.0, 0.01), Point(1, 100.0, 0.1)],
        [Point(1, 0.0, 0.01), Point(1, 100.0, 0.1), Point(1, 100.0, 0.1)],
    ],
)
def test_too_few_points_are_refused(points: list[Point]) -> None:
    with pytest.raises(ValueError, match=r"measured idle|apart"):
        fit(points, batches)


def test_a_part_is_full_where_its_cores_are_used() -> None:
    cost = Cost(0.002, 0.0001, 0.004, wakings_of_one)
    full = cost.full_at(4, 0.8)
    assert cost.cores(4, full) == pytest.approx(0.8)
    assert Cost(0.0, 0.0, 0.0, batches).full_at(1, 0.8) == inf
    assert Cost(0.9, 0.0001, 0.0, batches).full_at(1, 0.8) == pytest.approx(0.0, abs=1e-6)
