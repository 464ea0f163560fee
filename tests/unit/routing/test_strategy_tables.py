"""One table for each strategy that decides by what is known: what is known, and the order."""

import random

import pytest

from proxy.routing.strategies.cheapest_above import CheapestAbove
from proxy.routing.strategies.complexity import complexity
from proxy.routing.strategies.cost import Cost
from proxy.routing.strategies.latency import Latency
from proxy.routing.strategies.least_busy import LeastBusy
from proxy.routing.strategies.port import Known, Strategy
from tests.unit.routing.planned_targets import FakeHealth, health, names, target

QUIET = Known(draw=lambda: 0.5)


@pytest.mark.parametrize(
    ("busy", "order"),
    [
        ({"a": (1, 3), "b": (1, 1), "c": (1, 2)}, "b c a"),
        ({"a": (4, 3), "b": (1, 1)}, "a b"),  # Three at a weight of four are fewer than one at one.
        ({"a": (1, 0), "b": (0, 0), "c": (1, 5)}, "a c b"),
        ({"a": (1, 1), "b": (1, -5)}, "b a"),
    ],
)
def test_least_busy(busy: dict[str, tuple[float, int]], order: str) -> None:
    targets = tuple(
        target(name, weight, health=FakeHealth(in_flight=count))
        for name, (weight, count) in busy.items()
    )
    assert names(LeastBusy().order(targets, QUIET)) == order


def test_a_counter_below_zero_draws_nobody_in() -> None:
    draw = random.Random(6).random
    targets = target("a", health=FakeHealth(in_flight=-5)), target("b")
    firsts = [LeastBusy().order(targets, Known(draw=draw))[0].model for _ in range(2000)]
    assert abs(firsts.count("a") / 2000 - 0.5) < 0.05


def test_least_busy_levels_what_is_under_way() -> None:
    targets = tuple(target(name, weight) for name, weight in (("a", 3.0), ("b", 1.0)))
    draw = random.Random(1).random
    for _ in range(400):
        LeastBusy().order(targets, Known(draw=draw))[0].health.begin()
    assert [each.health.in_flight for each in targets] == [300, 100]


@pytest.mark.parametrize(
    ("known", "order"),
    [
        ({"a": (0.5, 0), "b": (0.2, 0), "c": (0.9, 0)}, "b a c"),
        ({"a": (0.5, 0), "b": (None, 0)}, "b a"),  # Untried: first,
        ({"a": (0.5, 0), "b": (None, 2)}, "a b"),  # until enough are under way there.
        ({"a": (0.5, 0), "b": (0.3, 31)}, "a b"),  # A crowd slows what is quick.
        ({"a": (0.5, 0), "b": (0.3, 10)}, "b a"),
        ({"a": (None, 9), "b": (None, 5)}, "b a"),
    ],
)
def test_latency(known: dict[str, tuple[float | None, int]], order: str) -> None:
    targets = tuple(
        target(name, health=FakeHealth(ewma=ewma, in_flight=count))
        for name, (ewma, count) in known.items()
    )
    assert names(Latency().order(targets, QUIET)) == order


def firsts(
    strategy: Strategy, draw: random.Random, *ewmas: float, count: int = 10_000
) -> list[float]:
    targets = tuple(target(str(at), health=FakeHealth(ewma=ewma)) for at, ewma in enumerate(ewmas))
    ask = Known(draw=draw.random)
    found = [strategy.order(targets, ask)[0].model for _ in range(count)]
    return [found.count(str(at)) / count for at in range(len(ewmas))]


def test_latency_looks_at_the_others_now_and_then() -> None:
    shares = firsts(Latency(explore=0.1), random.Random(2), 0.1, 0.5)
    assert abs(shares[0] - 0.95) < 0.02  # A tenth is drawn, half of it finds the quick one.
    assert firsts(Latency(explore=0), random.Random(2), 0.1, 0.5, count=500) == [1, 0]


def test_latency_never_explores_a_spare() -> None:
    targets = target("a", 0), target("b", 0), target("c", 1, health=FakeHealth(ewma=9))
    for seed in range(200):
        ask = Known(draw=random.Random(seed).random)
        assert Latency(explore=1).order(targets, ask)[0].model == "c"


def test_a_burst_at_untried_targets_is_spread() -> None:
    targets = target("a", health=FakeHealth(ewma=0.2)), target("new")
    for _ in range(50):
        Latency(explore=0).order(targets, QUIET)[0].health.begin()
    assert health(targets[1]).in_flight == 2


def test_a_crowd_is_spread_before_anything_is_measured() -> None:
    targets = target("a"), target("b"), target("c")
    for _ in range(60):
        Latency(explore=0).order(targets, QUIET)[0].health.begin()
    assert [health(each).in_flight for each in targets] == [20, 20, 20]


@pytest.mark.parametrize(
    ("prices", "order"),
    [
        ({"a": 30, "b": 10, "c": 20}, "b c a"),
        ({"a": None, "b": 10**12}, "b a"),
        ({"a": None, "b": None, "c": 0}, "c a b"),
        ({"a": 7, "b": 7}, "a b"),
    ],
)
def test_cost(prices: dict[str, int | None], order: str) -> None:
    targets = tuple(target(name) for name in prices)
    ask = Known(draw=lambda: 0.5, price=lambda each: prices[each.model])
    assert names(Cost().order(targets, ask)) == order


@pytest.mark.parametrize(
    ("hard", "order"),
    [
        (0.0, "tiny none small large huge"),  # All are good enough: by price.
        (0.3, "small large huge tiny none"),
        (0.6, "large huge small tiny none"),
        (0.85, "huge large small tiny none"),
        (1.0, "huge large small tiny none"),  # Nobody is: the best first.
    ],
)
def test_cheapest_above(hard: float, order: str) -> None:
    declared = {"huge": 0.95, "large": 0.8, "small": 0.5, "tiny": 0.2, "none": None}
    prices = {"huge": 100, "large": 30, "small": 10, "tiny": 1, "none": 2}
    targets = tuple(target(name, quality=quality) for name, quality in declared.items())
    ask = Known(complexity=hard, draw=lambda: 0.5, price=lambda each: prices[each.model])
    assert names(CheapestAbove().order(targets, ask)) == order


def test_the_bar_lies_between_least_and_most() -> None:
    strategy = CheapestAbove(least=0.4, most=0.8)
    bars = [strategy.threshold(Known(complexity=hard)) for hard in (-1, 0, 0.5, 1, 7)]
    assert bars == pytest.approx([0.4, 0.4, 0.6, 0.8, 0.8])


def test_complexity_grows_with_what_speaks_for_it() -> None:
    assert complexity(10) == 0
    assert complexity(0) == 0
    assert complexity(64) == pytest.approx(0.05)
    assert complexity(10**9) == pytest.approx(0.4)
    assert complexity(64, code=True, tools=True) == pytest.approx(0.4)
    assert complexity(64, 4096, maths=True, schema=True) == pytest.approx(0.45)
    everything = complexity(10**9, 10**6, code=True, maths=True, tools=True, schema=True)
    assert everything == 1.0
