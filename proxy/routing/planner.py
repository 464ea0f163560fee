"""The plan of a request: which targets to try, in which order, and why the others are not in it.

First the targets of the model asked for, then those of its fallback models, each model with its own
strategy and its tiers in order. What cannot take the request is dropped with the reason; what is
left is put in order, so that shares hold among those that can answer. When none is left but some
are only not to be asked now, the last resort is a target that its vendor wants left alone (who will
say so itself), or one with an open breaker where its model says `bypass`; the soonest back first.

Invariants: no target comes again in a fallback; none of the wrong residency is ever in a plan, not
in a fallback and not as the last resort. What is the same for all requests is worked out once for
each route: where nothing is declared and nothing wished, each target is only asked if it is up.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from proxy.base.errors import BadRequest, OperatorError
from proxy.core.target import Catalogue, Route, Target
from proxy.routing.planner_checks import Checks, Dropped
from proxy.routing.strategies.port import Ask, Strategy
from proxy.routing.strategies.weighted import Weighted
from proxy.routing.wishes import Wishes

_MOST_KEPT: Final = 8192  # Routes; callers choose the names that patterns make new ones of.


class Plan(NamedTuple):
    """`targets` in the order to try them. They are empty when nothing can take the request."""

    targets: tuple[Target, ...]
    dropped: tuple[Dropped, ...]


class _Prepared:
    """What is the same for all requests to a route."""

    __slots__ = ("fallbacks", "only", "plain", "route", "strategy", "tiers", "window")

    def __init__(self, route: Route, strategy: Strategy) -> None:
        self.route = route
        self.strategy = strategy
        self.fallbacks = route.policy.fallback.models
        self.tiers = _tiers(route.targets)
        self.plain = (
            not self.fallbacks
            and route.off is None
            and all(
                target.provider.off is None and target.capabilities is None
                for target in route.targets
            )
        )
        windows = [each.context_window for each in route.targets if each.context_window is not None]
        self.window = min(windows, default=None)
        self.only = route.targets[0] if self.plain and len(route.targets) == 1 else None


class Planner:
    """Of one configuration. `strategies`: by configured model; what is not there is weighted."""

    __slots__ = ("_catalogue", "_prepared", "_strategies", "_usual")

    def __init__(self, catalogue: Catalogue, strategies: Mapping[str, Strategy]) -> None:
        self._catalogue = catalogue
        self._strategies = strategies
        self._usual = Weighted()
        self._prepared: dict[Route, _Prepared] = {}

    def plan(
        self,
        route: Route,
        ask: Ask,
        now: float,
        *,
        wishes: Wishes | None = None,
        residency: str | None = None,
        fallbacks: tuple[str, ...] | None = None,
    ) -> Plan:
        """The plan of a request to `route`, which its caller may use.

        `fallbacks`: those that a rule names in place of the route's own; what is wished comes
        before both. Raises OperatorError for a fallback that does not exist, BadRequest for a wish
        of one that does not, or not for this caller."""
        ready = self._known(route)
        if wishes is None and residency is None and fallbacks is None and ready.plain:
            usual = self._usual_plan(ready, ask, now)
            if usual is not None:
                return usual
        checks = Checks(ask, now, wishes, residency)
        plan = self._checked(ready, ask, checks, wishes, fallbacks)
        return plan if plan.targets else _last_resort(plan.dropped, now)

    def only(self, route: Route, now: float) -> Target | None:
        """The one target of a route of which nothing is declared but a window, as long as it may be
        asked; None: there is more to think about."""
        try:
            only = self._prepared[route].only
        except KeyError:
            only = self._known(route).only
        return only if only is not None and only.health.why_not(now) is None else None

    def _usual_plan(self, ready: _Prepared, ask: Ask, now: float) -> Plan | None:
        """Where nothing is declared and nothing wished; None: something may be in the way."""
        if ready.window is not None and ask.longest > ready.window:
            return None
        only, route = ready.only, ready.route
        if only is not None:
            return Plan(route.targets, ()) if only.health.why_not(now) is None else None
        for target in route.targets:
            if target.health.why_not(now) is not None:
                return None
        return Plan(_ordered(ready.strategy, ready.tiers, ask), ())

    def strategy(self, route: Route) -> Strategy:
        """The strategy of a configured model."""
        return self._strategies.get(route.model, self._usual)

    def _known(self, route: Route) -> _Prepared:
        ready = self._prepared.get(route)
        if ready is not None:
            return ready
        if len(self._prepared) >= _MOST_KEPT:
            self._prepared.clear()
        ready = self._prepared[route] = _Prepared(route, self.strategy(route))
        return ready

    def _checked(
        self,
        first: _Prepared,
        ask: Ask,
        checks: Checks,
        wishes: Wishes | None,
        fallbacks: tuple[str, ...] | None,
    ) -> Plan:
        dropped: list[Dropped] = []
        targets = _of_route(first, ask, checks, dropped)
        wished = wishes.fallbacks if wishes is not None else None
        names = wished if wished is not None else fallbacks
        for name in first.fallbacks if names is None else names:
            route = self._catalogue.route(name)
            if route is first.route:
                continue
            refusal = ask.refusal(name, route) if route is not None else None
            if route is None or (refusal is not None and wished is not None):
                raise _unknown(name, is_wish=wished is not None)
            if refusal is not None:
                dropped += [Dropped(target, refusal, "access") for target in route.targets]
                continue
            ready = self._known(route)
            targets += _of_route(ready, ask, checks, dropped)
        return Plan(_once(targets, dropped), tuple(dropped))


def _unknown(name: str, *, is_wish: bool) -> BadRequest | OperatorError:
    why = f"the fallback model `{name[:200]}` does not exist here"
    if is_wish:  # Of one that the caller may not use the same is said: nobody learns its name so.
        return BadRequest(why, code="model_not_found", param="fallbacks")
    return OperatorError(why)


def _tiers(targets: Iterable[Target]) -> tuple[tuple[Target, ...], ...]:
    found: dict[int, list[Target]] = {}
    for target in targets:
        found.setdefault(target.tier, []).append(target)
    return tuple(tuple(found[tier]) for tier in sorted(found))


def _ordered(
    strategy: Strategy, tiers: tuple[tuple[Target, ...], ...], ask: Ask
) -> tuple[Target, ...]:
    if len(tiers) == 1:
        return strategy.order(tiers[0], ask)
    return tuple([target for tier in tiers for target in strategy.order(tier, ask)])


def _of_route(ready: _Prepared, ask: Ask, checks: Checks, dropped: list[Dropped]) -> list[Target]:
    """The targets of one route that can take the request, in order."""
    route = ready.route
    if route.off is not None:
        dropped += [Dropped(t, f"the model is off: {route.off}", "off") for t in route.targets]
        return []
    targets: list[Target] = []
    for tier in ready.tiers:
        left = []
        for target in tier:
            against = checks.against(target)
            if against is None:
                left.append(target)
            else:
                dropped.append(against)
        targets += ready.strategy.order(tuple(left), ask)
    return targets


def _once(targets: list[Target], dropped: list[Dropped]) -> tuple[Target, ...]:
    """Without those that stand further ahead already: a fallback may share them."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for target in targets:
        key = target.provider.name, target.model
        if key in seen:
            dropped.append(Dropped(target, "it is tried before, as a target of this plan", "again"))
        else:
            seen.add(key)
            kept.append(target)
    return tuple(kept)


def _last_resort(dropped: tuple[Dropped, ...], now: float) -> Plan:
    """Of targets that are only not to be asked now, and that may be asked all the same."""
    resort: list[Target] = []
    left: list[Dropped] = []
    for each in dropped:
        if each.cause == "breaker" and _may_be_asked(each.target, now):
            resort.append(each.target)
        else:
            left.append(each)
    resort.sort(key=lambda target: target.health.opens())
    return Plan(_once(resort, left), tuple(left))


def _may_be_asked(target: Target, now: float) -> bool:
    return target.policy.breaker.bypass or target.health.rests(now)
