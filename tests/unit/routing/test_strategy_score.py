"""Marks from 0 to 1, a mean that can be shown, no luck, and what is not known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.strategies.port import Known
from proxy.routing.strategies.score import Score, Weights
from tests.unit.routing.planned_targets import FakeHealth, names, target

ALL = Weights(cost=0.3, latency=0.4, quality=0.2, capability=0.1)
PRICES = {"a": 100, "b": 50, "c": 0}
TARGETS = (
    target("a", quality=0.9, capabilities=("tools", "vision"), health=FakeHealth(ewma=0.2)),
    target("b", quality=0.7, capabilities=("tools",), health=FakeHealth(ewma=0.6)),
    target("c", quality=0.5, capabilities=(), health=FakeHealth(ewma=1.0)),
)


def no_luck() -> float:
    raise AssertionError("a score is not drawn")


def ask(needs: tuple[str, ...] = ()) -> Known:
    return Known(draw=no_luck, price=lambda each: PRICES.get(each.model), needs=frozenset(needs))


def test_marks_and_score() -> None:
    scored = Score(ALL).scores(TARGETS, ask())
    assert names(each.target for each in scored) == "a b c"
    assert [tuple(round(mark, 6) for mark in each[1:]) for each in scored] == [
        (0.7, 0.0, 1.0, 1.0, 1.0),
        (0.5, 0.5, 0.5, 0.5, 0.5),
        (0.3, 1.0, 0.0, 0.0, 0.0),
    ]


@pytest.mark.parametrize(
    ("weights", "order"),
    [
        (ALL, "a b c"),
        (Weights(cost=1), "c b a"),
        (Weights(latency=1), "a b c"),
        (Weights(quality=1), "a b c"),
        (Weights(capability=1), "a b c"),
        (Weights(cost=1, quality=1), "a b c"),  # All alike: as written.
        (Weights(cost=3, quality=1), "c b a"),
        (Weights(cost=30, quality=10), "c b a"),
        (Weights(), "a b c"),
    ],
)
def test_order(weights: Weights, order: str) -> None:
    assert names(Score(weights).order(TARGETS, ask())) == order


def test_equal_scores_keep_the_order_that_is_written() -> None:
    same = target("x", quality=0.5), target("y", quality=0.5), target("z", quality=0.5)
    assert names(Score(ALL).order(same, ask())) == "x y z"
    assert names(Score(ALL).order(same[::-1], ask())) == "z y x"


def test_what_counts_nothing_is_not_asked_for() -> None:
    def refused(_target: object) -> int:
        raise AssertionError

    Score(Weights(quality=1)).order(TARGETS, Known(price=refused))


def test_what_is_not_known() -> None:
    known, unknown = target("a", quality=0.1, capabilities=("x",)), target("q")
    scored = Score(ALL).scores((unknown, known), ask(("x",)))
    assert [names((each.target,)) for each in scored] == ["a", "q"]
    marks = {each.target.model: each[2:] for each in scored}
    assert marks == {"a": (1.0, 1.0, 1.0, 1.0), "q": (0.0, 1.0, 0.0, 0.0)}


def test_the_untried_is_found_out_and_no_crowd_sent() -> None:
    fast, new = target("a", health=FakeHealth(ewma=0.2)), target("b")
    strategy = Score(Weights(latency=1))
    for _ in range(10):
        strategy.order((fast, new), ask())[0].health.begin()
    assert (fast.health.in_flight, new.health.in_flight) == (8, 2)


def test_an_untried_target_with_a_crowd_has_half_the_marks() -> None:
    targets = (
        target("slow", health=FakeHealth(ewma=0.9)),
        target("new", health=FakeHealth(in_flight=9)),
        target("fast", health=FakeHealth(ewma=0.2)),
    )
    scored = Score(Weights(latency=1)).scores(targets, ask())
    assert [(each.target.model, each.latency) for each in scored] == [
        ("fast", 1.0),
        ("new", 0.5),
        ("slow", 0.0),
    ]


def test_capability_is_what_the_request_needs() -> None:
    wide = target("wide", capabilities=("tools", "vision", "audio"))
    apt = target("apt", capabilities=("json_schema",))
    strategy = Score(Weights(capability=1))
    assert names(strategy.order((apt, wide), ask())) == "wide apt"
    assert names(strategy.order((wide, apt), ask(("json_schema",)))) == "apt wide"


@given(
    st.lists(
        st.tuples(st.none() | st.integers(0, 10**12), st.none() | st.floats(0, 1e3)), max_size=6
    ),
    st.tuples(*[st.floats(0, 10)] * 4),
)
def test_marks_and_scores_are_from_0_to_1(
    known: list[tuple[int | None, float | None]], weights: tuple[float, float, float, float]
) -> None:
    targets = tuple(
        target(str(place), health=FakeHealth(ewma=ewma)) for place, (_, ewma) in enumerate(known)
    )
    priced = Known(draw=no_luck, price=lambda each: known[int(each.model)][0])
    scored = Score(Weights(*weights)).scores(targets, priced)
    assert all(-1e-9 <= mark <= 1 + 1e-9 for each in scored for mark in each[1:])
    assert [round(each.score, 9) for each in scored] == sorted(
        (round(each.score, 9) for each in scored), reverse=True
    )
