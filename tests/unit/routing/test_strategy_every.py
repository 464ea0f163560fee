"""What holds for every strategy: all targets, each once, spares last, and it never raises."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.target import Target
from proxy.routing.strategies.named import NAMES, strategy
from proxy.routing.strategies.port import Known, Strategy
from proxy.routing.strategies.score import Score, Weights
from tests.unit.routing.planned_targets import FakeHealth, names, target, vendor, weighed

EVERY = [*NAMES, "score of nothing"]
SHARED = vendor("p")
seconds = st.none() | st.floats(0, 1e6)
costs = st.none() | st.integers(0, 10**15)
words = st.sampled_from(("chat", "tools", "vision"))


def made(name: str) -> Strategy:
    return Score(Weights()) if name == "score of nothing" else strategy(name)


@st.composite
def target_lists(draw: st.DrawFn) -> tuple[Target, ...]:
    return tuple(
        target(
            draw(st.sampled_from(("same", str(place)))),
            draw(st.just(0.0) | st.floats(0, allow_infinity=False) | st.floats(0.1, 10)),
            at=SHARED,
            quality=draw(st.none() | st.floats(0, 1)),
            capabilities=draw(st.none() | st.frozensets(words)),
            health=FakeHealth(
                ewma=draw(seconds), p95=draw(seconds), in_flight=draw(st.integers(-1, 10**6))
            ),
        )
        for place in range(draw(st.integers(0, 6)))
    )


@pytest.mark.parametrize("name", EVERY)
@given(
    targets=target_lists(),
    draws=st.randoms(use_true_random=False),
    price=st.lists(costs, min_size=1),
    sticky=st.text(),
    complexity=st.floats(-1, 2),
    needs=st.frozensets(words),
    turns=st.integers(1, 3),
)
def test_all_targets_each_once_spares_last(
    name: str,
    targets: tuple[Target, ...],
    draws: random.Random,
    price: list[int | None],
    sticky: str,
    complexity: float,
    needs: frozenset[str],
    turns: int,
) -> None:
    known = Known(
        sticky=sticky,
        complexity=complexity,
        needs=needs,
        draw=draws.random,
        price=lambda each: price[len(each.model) % len(price)],
    )
    chosen = made(name)
    for _ in range(turns):
        ordered = chosen.order(targets, known)
        assert sorted(map(id, ordered)) == sorted(map(id, targets))
        spare = [each.weight == 0 for each in ordered]
        assert spare == sorted(spare)


@pytest.mark.parametrize("name", EVERY)
def test_one_target_needs_no_thought(name: str) -> None:
    def never() -> float:
        raise AssertionError

    one = weighed(0)
    assert made(name).order(one, Known(draw=never)) == one
    assert made(name).order((), Known(draw=never)) == ()


@pytest.mark.parametrize("name", NAMES)
def test_each_knows_its_name(name: str) -> None:
    assert strategy(name).name == name


def test_an_unknown_strategy_is_an_error() -> None:
    with pytest.raises(KeyError):
        strategy("fastest")


def test_declared_weights_of_score_are_used() -> None:
    good, cheap = target("good", quality=0.9), target("cheap", quality=0.1)
    prices = Known(price=lambda each: 1 if each is cheap else 2)
    assert names(strategy("score", Weights(quality=1)).order((cheap, good), prices)) == "good cheap"
    assert names(strategy("score", Weights(cost=1)).order((good, cheap), prices)) == "cheap good"


def by_session(number: int) -> Known:
    return Known(sticky=f"session-{number}")


def by_lot(draw: Callable[[], float]) -> Callable[[int], Known]:
    return lambda _: Known(draw=draw)


@pytest.mark.parametrize("shares", [(1, 1), (3, 1), (90, 9, 1), (0.5, 0.25, 0.25), (5, 0)])
@pytest.mark.parametrize(
    "name", ["weighted", "round_robin", "least_busy", "cost", "sticky", "cheapest_above"]
)
def test_shares_of_first_places(name: str, shares: tuple[float, ...]) -> None:
    """Within 2 % over 10,000 requests, where nothing but the weights tells targets apart."""
    asks = by_session if name == "sticky" else by_lot(random.Random(7).random)
    chosen, targets = strategy(name), weighed(*shares)
    firsts = [chosen.order(targets, asks(number))[0].model for number in range(10_000)]
    for place, share in enumerate(shares):
        assert abs(firsts.count(str(place)) / 10_000 - share / sum(shares)) < 0.02
