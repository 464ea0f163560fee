"""Weights are shares of first places; weight 0 comes last, in the order written."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.target import Target
from proxy.routing.weighted import order
from tests.fakes.exchange import provider
from tests.fakes.wire import FakeTransport

P = provider("p", FakeTransport())
weights = st.one_of(st.just(0.0), st.floats(0, allow_infinity=False), st.floats(0.1, 10))


def targets(*shares: float) -> tuple[Target, ...]:
    return tuple(Target(P, str(place), share) for place, share in enumerate(shares))


@pytest.mark.parametrize("shares", [(1, 1), (3, 1), (90, 9, 1), (0.5, 0.25, 0.25), (5, 0)])
def test_shares_of_first_places(shares: tuple[float, ...]) -> None:
    draw = random.Random(7).random
    chosen = targets(*shares)
    firsts = [order(chosen, draw)[0].model for _ in range(10_000)]
    for place, share in enumerate(shares):
        assert abs(firsts.count(str(place)) / 10_000 - share / sum(shares)) < 0.02


def test_second_places_follow_the_weights_too() -> None:
    draw = random.Random(7).random
    seconds = [
        drawn[1].model
        for drawn in (order(targets(2, 3, 1), draw) for _ in range(10_000))
        if drawn[0].model == "0"
    ]
    assert abs(seconds.count("1") / len(seconds) - 3 / 4) < 0.04


def test_weight_0_comes_last_in_the_order_written() -> None:
    draw = random.Random(7).random
    for _ in range(1000):
        drawn = [target.model for target in order(targets(0, 1, 0, 2, 0), draw)]
        assert drawn[2:] == ["0", "2", "4"]
    assert [target.model for target in order(targets(0, 0, 0), draw)] == ["0", "1", "2"]


def test_one_target_is_not_drawn() -> None:
    one = targets(0)
    assert order(one, lambda: 1 / 0) is one


@given(st.lists(weights, min_size=1, max_size=6), st.lists(st.floats(0, 1), min_size=6))
def test_any_weights_give_all_targets(shares: list[float], draws: list[float]) -> None:
    chosen = targets(*shares)
    drawn = order(chosen, iter(draws).__next__)
    assert sorted(target.model for target in drawn) == [target.model for target in chosen]
    idle = [target.weight == 0 for target in drawn]
    assert idle == sorted(idle)
