"""Plans: whose targets, in which order, in which tiers; the last resort; nothing twice."""

import random
from typing import Any

import pytest

from proxy.base.errors import BadRequest, OperatorError
from proxy.core.target import Route, Target
from proxy.routing.planner import Plan, Planner
from proxy.routing.strategies.cost import Cost
from proxy.routing.strategies.port import Known
from proxy.routing.strategies.round_robin import RoundRobin
from proxy.routing.wishes import Wishes
from tests.unit.routing.planned_targets import (
    FakeCatalogue,
    FakeHealth,
    names,
    route,
    target,
    vendor,
    weighed,
)

PRICES = {"a": 30, "b": 10, "c": 20, "x": 2, "y": 1}
ASK = Known(route="m", draw=lambda: 0.5, price=lambda each: PRICES[each.model])
NOW = 100.0
DOWN = FakeHealth(until=NOW + 9)


def planner(*routes: Route) -> Planner:
    """All models by cost."""
    return Planner(FakeCatalogue(*routes), {each.model: Cost() for each in routes})


def why(plan: Plan) -> list[tuple[str, str]]:
    return [(each.target.model, each.cause) for each in plan.dropped]


def test_a_models_strategy_orders_its_targets() -> None:
    of = route("m", target("a"), target("b"), target("c"))
    plan = planner(of).plan(of, ASK, NOW)
    assert (names(plan.targets), plan.dropped) == ("b c a", ())


def test_without_a_strategy_weights_decide() -> None:
    of = route("m", *weighed(9, 1))
    usual, ask = Planner(FakeCatalogue(), {}), Known(draw=random.Random(1).random)
    firsts = [usual.plan(of, ask, NOW).targets[0].model for _ in range(2000)]
    assert abs(firsts.count("0") / 2000 - 0.9) < 0.03
    assert usual.strategy(of).name == "weighted"


def test_tier_2_comes_after_all_of_tier_1() -> None:
    of = route("m", target("y", tier=2), target("a"), target("x", tier=3), target("b"))
    assert names(planner(of).plan(of, ASK, NOW).targets) == "b a y x"


def test_fallback_models_follow_each_in_its_own_order() -> None:
    m = route("m", target("a"), target("b", tier=2), fallbacks=("n", "o"))
    n, o = route("n", target("c")), route("o", target("x"), target("y"), fallbacks=("m",))
    planned = Planner(FakeCatalogue(m, n, o), {"o": Cost()}).plan(m, ASK, NOW)
    assert names(planned.targets) == "a b c y x"


def test_a_fallback_of_a_fallback_is_not_followed() -> None:
    m, n = route("m", target("a"), fallbacks=("n",)), route("n", target("b"), fallbacks=("o",))
    assert names(planner(m, n, route("o", target("c"))).plan(m, ASK, NOW).targets) == "a b"


def test_what_was_tried_is_not_tried_again_as_a_fallback() -> None:
    shared = vendor("p")
    m = route("m", target("a", at=shared), fallbacks=("m", "n"))
    n = route("n", target("b", at=shared), target("a", at=shared))
    plan = planner(m, n).plan(m, ASK, NOW)
    assert names(plan.targets) == "a b"
    assert why(plan) == [("a", "again")]


@pytest.mark.parametrize(
    ("rule", "wish", "order"),
    [
        (None, None, "a b"),
        (("o",), None, "a c"),
        ((), None, "a"),
        (("n", "o"), None, "a b c"),
        (("n",), ("o",), "a c"),
        (None, (), "a"),
    ],
)
def test_whose_fallbacks(
    rule: tuple[str, ...] | None, wish: tuple[str, ...] | None, order: str
) -> None:
    m = route("m", target("a"), fallbacks=("n",))
    planned = planner(m, route("n", target("b")), route("o", target("c")))
    wishes = None if wish is None else Wishes(fallbacks=wish)
    plan = planned.plan(m, ASK, NOW, wishes=wishes, fallbacks=rule)
    assert names(plan.targets) == order


def test_a_fallback_that_does_not_exist() -> None:
    m = route("m", target("a"))
    with pytest.raises(BadRequest, match="`gpt-0` does not exist") as refused:
        planner(m).plan(m, ASK, NOW, wishes=Wishes(fallbacks=("gpt-0",)))
    assert (refused.value.code, refused.value.param) == ("model_not_found", "fallbacks")
    with pytest.raises(OperatorError):
        planner(m).plan(m, ASK, NOW, fallbacks=("gpt-0",))


def test_a_wished_fallback_that_is_hidden_from_the_caller_does_not_exist_either() -> None:
    m, n = route("m", target("a")), route("n", target("b"))
    hidden = Known(route="m", refusal=lambda _name, _of: "it is secret")
    told = []
    for known in (planner(m), planner(m, n)):
        with pytest.raises(BadRequest) as refused:
            known.plan(m, hidden, NOW, wishes=Wishes(fallbacks=("n",)))
        error = refused.value
        told.append((error.status, error.code, error.param, error.message, error.headers))
    assert told[0] == told[1]


def test_a_fallback_that_the_caller_may_not_use() -> None:
    m = route("m", target("a"), fallbacks=("n", "o"))
    n, o = route("n", target("b"), target("c")), route("o", target("x"))
    asked: list[tuple[str, str]] = []

    def refusal(name: str, of: Route) -> str | None:
        asked.append((name, of.model))
        return "this key may not use it" if of is n else None

    plan = planner(m, n, o).plan(m, Known(route="m", refusal=refusal), NOW)
    assert names(plan.targets) == "a x"
    assert why(plan) == [("b", "access"), ("c", "access")]
    assert asked == [("n", "n"), ("o", "o")]


def test_a_model_and_a_provider_that_are_off() -> None:
    dead = target("b", at=vendor("b", off="its key is not set"))
    m = route("m", target("a"), dead, fallbacks=("n",))
    n = route("n", target("c"), off="it is inactive")
    plan = planner(m, n).plan(m, ASK, NOW)
    assert names(plan.targets) == "a"
    assert [(each.target.model, each.cause, each.reason) for each in plan.dropped] == [
        ("b", "off", "the provider is off: its key is not set"),
        ("c", "off", "the model is off: it is inactive"),
    ]


LOCAL = vendor("l", residency="local")


@pytest.mark.parametrize(
    ("of", "terms", "cause"),
    [
        (route("m", target("a")), {"residency": "local"}, "residency"),
        (route("m", target("a", at=LOCAL)), {"wishes": Wishes(residency="cloud")}, "residency"),
        (route("m", target("a"), off="inactive"), {}, "off"),
        (route("m", target("a", at=vendor("v", off="no key"))), {}, "off"),
        (route("m", target("a", capabilities=("chat",))), {}, "capability"),
        (route("m", target("a", window=999)), {}, "window"),
        (route("m", target("a", health=DOWN)), {}, "breaker"),
        (route("m", target("a", health=FakeHealth(barred="closed"), bypass=True)), {}, "off"),
    ],
)
def test_the_short_way_asks_what_the_long_one_asks(
    of: Route, terms: dict[str, Any], cause: str
) -> None:
    ask = Known(route="m", tokens_in=1000, needs=frozenset(("tools",)))
    planned = planner(of)
    for _ in range(2):  # The second finds prepared what the first had to prepare.
        plan = planned.plan(of, ask, NOW, **terms)
        assert (plan.targets, why(plan)) == ((), [("a", cause)])


def test_an_open_breaker_is_passed_by() -> None:
    of = route("m", target("a"), target("b", health=DOWN), target("c"))
    plan = planner(of).plan(of, ASK, NOW)
    assert names(plan.targets) == "c a"
    assert [(each.target.model, each.reason) for each in plan.dropped] == [
        ("b", "its breaker is open for 9 s")
    ]
    assert names(planner(of).plan(of, ASK, NOW + 9).targets) == "b c a"


def down(name: str, seconds: float, *, bypass: bool) -> Target:
    return target(name, health=FakeHealth(until=NOW + seconds), bypass=bypass)


def test_when_all_are_open_those_that_may_be_are_tried_all_the_same() -> None:
    of = route(
        "m",
        down("a", 30, bypass=True),
        down("b", 1, bypass=False),
        down("c", 20, bypass=True),
        fallbacks=("n",),
    )
    n = route("n", down("x", 10, bypass=True))
    plan = planner(of, n).plan(of, ASK, NOW)
    assert names(plan.targets) == "x c a"
    assert why(plan) == [("b", "breaker")]


def test_whom_the_vendor_wants_left_alone_is_asked_when_there_is_no_other() -> None:
    resting = target("a", health=FakeHealth(until=NOW + 5, resting=True))
    alone = route("m", resting, down("b", 1, bypass=False))
    plan = planner(alone).plan(alone, ASK, NOW)
    assert (names(plan.targets), why(plan)) == ("a", [("b", "breaker")])
    with_another = route("m", resting, target("x"))
    assert names(planner(with_another).plan(with_another, ASK, NOW).targets) == "x"


def test_one_that_is_up_is_enough_to_leave_the_others_alone() -> None:
    of = route("m", down("a", 1, bypass=True), target("b"))
    assert names(planner(of).plan(of, ASK, NOW).targets) == "b"


def test_without_bypass_nothing_is_left() -> None:
    of = route("m", down("a", 1, bypass=False), down("b", 2, bypass=False))
    plan = planner(of).plan(of, ASK, NOW)
    assert plan.targets == ()
    assert why(plan) == [("a", "breaker"), ("b", "breaker")]


def test_shares_hold_among_those_that_are_left() -> None:
    of = route("m", *weighed(1, 1, 1))
    object.__setattr__(of.targets[1].health, "until", NOW + 1)
    turns = Planner(FakeCatalogue(of), {"m": RoundRobin()})
    ask = Known(route="m", draw=lambda: 0.0)
    firsts = "".join(turns.plan(of, ask, NOW).targets[0].model for _ in range(8))
    assert firsts == "02020202"


def test_routes_without_end_are_not_all_kept() -> None:
    usual, targets = Planner(FakeCatalogue(), {}), weighed(1)
    for number in range(20_000):
        assert usual.plan(Route(str(number), targets), ASK, NOW).targets == targets
    assert len(usual._prepared) <= 8192
