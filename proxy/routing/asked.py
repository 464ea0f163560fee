"""What strategies and the planner may know of a request, worked out when they want it; and the
planner as the life of a request sees it."""

import random
from collections.abc import Callable
from typing import Protocol

from proxy.base.clock import monotonic
from proxy.core.exchange import Exchange
from proxy.core.target import Route, Target
from proxy.routing.facts import Facts, facts_of
from proxy.routing.planner import Plan, Planner
from proxy.routing.planner_refusal import nothing_left
from proxy.routing.strategies.complexity import complexity
from proxy.routing.strategies.port import Strategy
from proxy.routing.wishes import wishes_of
from proxy.wire.asked import CAPS, MOST_TOKENS
from proxy.wire.body import Body

_OPERATIONS = {
    "image_edits": "images",
    "image_variations": "images",
    "translations": "transcriptions",
}
_CHATS = frozenset(("chat", "responses"))
_MODALITIES = {"image": "vision", "audio": "audio"}


class Prices(Protocol):
    """What an attempt at a target costs, in nano-USD; None: nobody knows."""

    def likely(self, target: Target, tokens_in: int, tokens_out: int, /) -> int | None: ...

    def most(self, x: Exchange, target: Target, /) -> int | None: ...


Refusal = Callable[[Exchange, str, Route], str | None]
"""Why the caller may not use a model that would take the place of another, or None."""


class Asked:
    """The Ask of an exchange."""

    __slots__ = ("_facts", "_out", "_prices", "_refusal", "_x", "draw")

    def __init__(self, x: Exchange, prices: Prices, refusal: Refusal) -> None:
        self._x = x
        self._prices = prices
        self._refusal = refusal
        self._facts: Facts | None = None
        self._out: int | None = None
        self.draw: Callable[[], float] = random.random

    @property
    def _known(self) -> Facts:
        if self._facts is None:
            self._facts = facts_of(self._x)
        return self._facts

    @property
    def route(self) -> str:
        route = self._x.route
        return route.model if route is not None else ""

    @property
    def sticky(self) -> str:
        return self._x.labels.session or self._x.caller.name

    @property
    def tokens_in(self) -> int:
        rule = self._x.rule
        # What is cut to fit is never too long.
        return 0 if rule is not None and rule.windowed else self._known.content_tokens

    @property
    def tokens_out(self) -> int:
        if self._out is None:
            body, names = self._x.body, CAPS.get(self._x.operation.name, ())
            most = body.largest(names, MOST_TOKENS) if isinstance(body, Body) else None
            self._out = most or 0
        return self._out

    @property
    def longest(self) -> int:
        body, rule = self._x.body, self._x.rule
        if not isinstance(body, Body) or (rule is not None and rule.windowed):
            return self.tokens_in + self.tokens_out
        return len(body.raw) + self.tokens_out

    @property
    def complexity(self) -> float:
        facts = self._known
        return complexity(
            facts.content_tokens,
            self.tokens_out,
            code=facts.contains_code,
            maths=facts.contains_math,
            tools=facts.tools,
            schema=facts.json_schema,
        )

    @property
    def needs(self) -> frozenset[str]:
        facts, operation = self._known, self._x.operation.name
        needs = {_OPERATIONS.get(operation, operation)}
        if operation in _CHATS:  # What else is made of pictures or sound is for that.
            needs |= {_MODALITIES[kind] for kind in facts.modality if kind in _MODALITIES}
        if facts.tools:
            needs.add("tools")
        if facts.json_schema:
            needs.add("json_schema")
        return frozenset(needs)

    def price(self, target: Target, /) -> int | None:
        """What it is likely to cost there."""
        return self._prices.likely(target, self._known.content_tokens, self.tokens_out)

    def most(self, target: Target, /) -> int | None:
        """The most that it can cost there."""
        return self._prices.most(self._x, target)

    def refusal(self, model: str, route: Route, /) -> str | None:
        """Why the caller may not use this model."""
        return self._refusal(self._x, model, route)


class RequestPlanner:
    """The Planner of a runtime."""

    __slots__ = ("_planner", "_prices", "_refusal")

    def __init__(self, planner: Planner, prices: Prices, refusal: Refusal) -> None:
        self._planner = planner
        self._prices = prices
        self._refusal = refusal

    def ask(self, x: Exchange) -> Asked:
        """What may be known of the request."""
        return Asked(x, self._prices, self._refusal)

    def strategy(self, route: Route) -> Strategy:
        """By which the targets of this model are put in order."""
        return self._planner.strategy(route)

    def look(self, x: Exchange, route: Route, ask: Asked, now: float) -> Plan:
        """The plan, and what is not in it. Nothing is noted, and none is no error."""
        body, rule = x.body, x.rule
        return self._planner.plan(
            route,
            ask,
            now,
            wishes=wishes_of(x.incoming, body if isinstance(body, Body) else None),
            residency="local" if rule is not None and rule.local else None,
            fallbacks=rule.fallback if rule is not None else None,
        )

    def plan(self, x: Exchange, route: Route, /) -> tuple[Target, ...]:
        """The targets that can take the request, in the order to try them."""
        # What could be asked when the request came can be asked now: no clock is read for it.
        only = self._planner.only(route, x.arrived) if x.rule is None else None
        if only is not None and (
            (x.unmarked and only.context_window is None) or self._suits(x, only)
        ):
            return route.targets
        now = monotonic()
        plan = self.look(x, route, self.ask(x), now)
        if plan.dropped:
            x.dropped += [(each.target, each.reason) for each in plan.dropped]
        if not plan.targets:
            raise nothing_left(plan.dropped, now)
        return plan.targets

    def _suits(self, x: Exchange, only: Target) -> bool:
        """Whether the one target that there is can take the request, and nothing else is wished."""
        if only.context_window is not None and self.ask(x).longest > only.context_window:
            return False
        body = x.body if isinstance(x.body, Body) else None
        return x.unmarked or wishes_of(x.incoming, body) is None
