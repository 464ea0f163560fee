"""A plan, told: shares, the order, costs, marks; the same question gets the same answer."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from proxy.core.exchange import Exchange
from proxy.core.target import Route, Target
from proxy.routing.asked import RequestPlanner
from proxy.routing.catalogue import Models
from proxy.routing.explain import PlanTold, explain_plan
from proxy.routing.planner import Planner
from proxy.routing.strategies.score import Score, Weights
from proxy.wire.body import Body
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange, runtime
from tests.unit.routing.planned_targets import FakeHealth, target

BODY = b'{"model":"m","max_tokens":10,"messages":[{"role":"user","content":"Hello there"}]}'


class Prices:
    """A target named `n` costs n, and ten times as much at most."""

    def likely(self, target: Target, tokens_in: int, tokens_out: int, /) -> int | None:
        return int(target.model) if target.model.isdigit() else None

    def most(self, x: Exchange, target: Target, /) -> int | None:
        found = self.likely(target, 0, 0)
        return None if found is None else 10 * found


def explained(targets: Sequence[Target], *, score: Weights | None = None) -> PlanTold:
    route = Route("m", tuple(replace(each, route="m") for each in targets))
    strategies = {"m": Score(score)} if score is not None else {}
    planner = RequestPlanner(
        Planner(Models([route]), strategies), Prices(), lambda _x, _model, _route: None
    )
    x = exchange(runtime({"m": route.targets}), FakeIncoming(BODY))
    x.body, x.model, x.route = Body(BODY), "m", route
    return explain_plan(planner, x, route, 100.0)


def test_shares_are_those_of_the_weights() -> None:
    told = explained([target("1", 3), target("2", 1), target("3", 0)])
    assert [each.target.model for each in told.targets] == ["1", "2", "3"]
    assert [each.share for each in told.targets] == pytest.approx([0.75, 0.25, 0], abs=0.03)
    assert told.by_lot
    again = explained([target("1", 3), target("2", 1), target("3", 0)])
    assert [each.share for each in again.targets] == [each.share for each in told.targets]


def test_a_share_is_within_its_tier() -> None:
    told = explained([target("1"), target("2", tier=2)])
    assert [each.share for each in told.targets] == [1, 1]
    assert not told.by_lot


def test_what_is_dropped_has_its_reason() -> None:
    told = explained([target("1"), target("2", health=FakeHealth(until=130))])
    assert [each.target.model for each in told.targets] == ["1"]
    (dropped,) = told.dropped
    assert (dropped.target.model, dropped.cause) == ("2", "breaker")
    assert "30 s" in dropped.reason


def test_a_plan_may_be_empty() -> None:
    told = explained([target("1", health=FakeHealth(until=130))])
    assert told.targets == ()
    assert len(told.dropped) == 1


def test_costs_and_marks_are_those_that_decide() -> None:
    told = explained([target("4"), target("2"), target("x")], score=Weights(cost=1))
    assert [(each.likely, each.most) for each in told.targets] == [(2, 20), (4, 40), (None, None)]
    marks = [each.marks for each in told.targets]
    assert [each.score for each in marks if each is not None] == [1, 0, 0]
    assert (told.tokens_out, told.needs) == (10, frozenset({"chat"}))
