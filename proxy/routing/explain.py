"""How the targets of one request would be put in order: the plan, told.

The planner is asked as a request asks it, many times: where strategies draw by lot no single order
is the truth, so the most frequent one is shown, with how often each target comes first among those
of its model and tier. The lots come from a fixed seed: the same question gets the same answer.
Nothing is decided here.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.core.exchange import Exchange
from proxy.core.target import Route, Target
from proxy.routing.asked import Asked, RequestPlanner
from proxy.routing.planner_checks import Dropped
from proxy.routing.strategies.score import Score, Scored

_TIMES = 2000
_SEED = 1


@dataclass(frozen=True, slots=True)
class TargetTold:
    """One target of the plan. `share`: how often it is the first of its model and tier. `likely`
    and `most`: what it costs there, in nano-USD. `marks`: for strategy `score`."""

    target: Target
    share: float
    likely: int | None
    most: int | None
    marks: Scored | None = None


@dataclass(frozen=True, slots=True)
class PlanTold:
    """What would be tried, and what would not. `needs`: capabilities it cannot do without."""

    targets: tuple[TargetTold, ...]
    dropped: tuple[Dropped, ...]
    tokens_out: int
    complexity: float
    needs: frozenset[str]
    by_lot: bool  # Whether another request may get another order.


def explain_plan(planner: RequestPlanner, x: Exchange, route: Route, now: float) -> PlanTold:
    """The plan of a request that has come as far as that. Raises as the planner does."""
    ask = planner.ask(x)
    ask.draw = random.Random(_SEED).random
    plan = planner.look(x, route, ask, now)
    known: dict[tuple[int, ...], tuple[Target, ...]] = {}
    orders: Counter[tuple[int, ...]] = Counter()
    for _ in range(_TIMES if len(plan.targets) > 1 else 1):
        found = planner.look(x, route, ask, now).targets
        order = tuple(map(id, found))  # A target is large to hash.
        known[order] = found
        orders[order] += 1
    targets = known[orders.most_common(1)[0][0]]
    first: Counter[int] = Counter()
    for order, times in orders.items():
        first.update({id(each): times for each in _leaders(known[order])})
    times = orders.total()
    marks = _marks(planner, x, route, targets, ask)
    return PlanTold(
        tuple(
            TargetTold(
                each, first[id(each)] / times, ask.price(each), ask.most(each), marks.get(id(each))
            )
            for each in targets
        ),
        plan.dropped,
        ask.tokens_out,
        ask.complexity,
        ask.needs,
        len(orders) > 1,
    )


def _leaders(targets: Sequence[Target]) -> list[Target]:
    """The first of each model and tier."""
    found: dict[tuple[str, int], Target] = {}
    for each in targets:
        found.setdefault((each.route, each.tier), each)
    return list(found.values())


def _marks(
    planner: RequestPlanner, x: Exchange, route: Route, targets: Sequence[Target], ask: Asked
) -> dict[int, Scored]:
    groups: dict[tuple[str, int], list[Target]] = {}
    for each in targets:
        groups.setdefault((each.route, each.tier), []).append(each)
    found: dict[int, Scored] = {}
    for (name, _), group in groups.items():
        model = route if name == route.model else x.runtime.catalogue.route(name)
        strategy = planner.strategy(model) if model is not None else None
        if isinstance(strategy, Score):
            found |= {id(each.target): each for each in strategy.scores(group, ask)}
    return found
