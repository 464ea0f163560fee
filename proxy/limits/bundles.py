"""All walls that one kind of request meets, bound to the store once and kept.

A kind of request is: this caller, this model, these labels. Its rates are one quota, taken at
admission; its budgets, with the walls of a provider, are another, one for each provider, taken at
every attempt.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from proxy.core.caller import Caller
from proxy.core.exchange import Exchange
from proxy.core.gate import Rulebook
from proxy.core.quota import (
    NO_WALLS,
    Grant,
    JoinedQuota,
    QuickQuota,
    Quota,
    QuotaStore,
    Rule,
    Scope,
    ScopeKind,
    Walls,
)
from proxy.core.target import Provider

if TYPE_CHECKING:
    from proxy.core.labels import Labels

_MOST_KEPT = 4096

TakeNow = Callable[[int, int, int], Grant | None]
"""`QuickQuota.take_now`."""


@dataclass(slots=True)
class AttemptQuota:
    """What one attempt at a provider takes from."""

    quota: Quota
    take_now: TakeNow | None
    counts_tokens: bool
    has_money: bool
    hard: bool  # At least one budget is a wall.


@dataclass(slots=True)
class Bundle:
    """The walls of one kind of request."""

    caller: Caller
    rates: Quota | None
    take_now: TakeNow | None  # Of the rates, where the store decides at once.
    joined: JoinedQuota | None  # The rates, where their store is asked for two quotas at once.
    counts_tokens: bool
    budgets: tuple[Rule, ...]
    per_request: tuple[int, Scope] | None  # The lowest `tokens_per_request`, and whose it is.
    attempts: dict[str, AttemptQuota | None] = field(default_factory=dict)


class Bundles:
    """Finds and keeps bundles; bounded."""

    __slots__ = ("_kept", "_rulebook", "_share", "_store")

    def __init__(self, store: QuotaStore, rulebook: Rulebook, share: int = 1) -> None:
        """`share`: among so many every limit is divided, rounded down."""
        self._store = store
        self._rulebook = rulebook
        self._share = share
        self._kept: dict[tuple[int, str | None, str, Labels], Bundle] = {}

    def of(self, x: Exchange) -> Bundle:
        """The bundle of a request."""
        caller = x.caller
        route = x.route.model if x.route is not None else ""
        key = (id(caller), x.model if caller.per_model else None, route, x.labels)
        bundle = self._kept.get(key)
        if bundle is None or bundle.caller is not caller:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            bundle = self._kept[key] = self._make(x, caller)
        return bundle

    def refuse_blocked(self, x: Exchange) -> None:
        """Raises as `of` does, before the labels of the request are known: by the caller's own."""
        _ = self.of(x)
        caller = x.caller
        if caller.agent is not None:
            _ = self._rulebook.walls(Scope("agent", caller.agent))
        for tag in caller.tags:
            _ = self._rulebook.walls(Scope("tag", tag))

    def attempt(self, bundle: Bundle, provider: Provider) -> AttemptQuota | None:
        """What an attempt at a provider takes from, or None where nothing stands."""
        name = provider.name
        try:
            return bundle.attempts[name]
        except KeyError:
            found = bundle.attempts[name] = self._attempt(bundle, provider, name)
            return found

    def _attempt(self, bundle: Bundle, provider: Provider, name: str) -> AttemptQuota | None:
        stored = self._rulebook.walls(Scope("provider", name))
        around = provider.walls or stored or NO_WALLS
        rules = bundle.budgets + around.rates + around.budgets
        if not rules:
            return None
        money = [rule for rule in rules if rule.measure == "money"]
        quota = self._bind(rules)
        return AttemptQuota(
            quota,
            _at_once(quota),
            any(rule.measure == "tokens" for rule in rules),
            bool(money),
            any(rule.hard for rule in money),
        )

    def forget(self) -> None:
        """Walls have changed: make all bundles anew."""
        self._kept.clear()

    def _bind(self, rules: tuple[Rule, ...]) -> Quota:
        if self._share > 1:
            rules = tuple(replace(rule, limit=rule.limit // self._share) for rule in rules)
        return self._store.bind(rules)

    def _make(self, x: Exchange, caller: Caller) -> Bundle:
        found = list(self._walls(x, caller))
        rates = tuple(rule for _, walls in found for rule in walls.rates)
        lowest = [
            (walls.tokens_per_request, scope)
            for scope, walls in found
            if walls.tokens_per_request is not None
        ]
        quota = self._bind(rates) if rates else None
        return Bundle(
            caller,
            quota,
            _at_once(quota),
            quota if isinstance(quota, JoinedQuota) else None,
            any(rule.measure == "tokens" for rule in rates),
            tuple(rule for _, walls in found for rule in walls.budgets),
            min(lowest) if lowest else None,
        )

    def _walls(self, x: Exchange, caller: Caller) -> Iterator[tuple[Scope, Walls]]:
        """From the narrowest scope to the widest."""
        yield Scope("key", caller.name), caller.walls
        for patterns, walls in caller.per_model:
            if x.model is not None and x.model in patterns:
                yield Scope("key_model", f"{caller.name}/{x.model}"), walls
        if x.route is not None:
            model = Scope("model", x.route.model)
            stored = self._rulebook.walls(model)
            yield model, x.route.walls or stored or NO_WALLS
        for scope in self._scopes(x, caller):
            around = self._rulebook.walls(scope)
            if around is not None:
                yield scope, around

    @staticmethod
    def _scopes(x: Exchange, caller: Caller) -> Iterator[Scope]:
        labels = x.labels
        named: tuple[tuple[ScopeKind, str | None], ...] = (
            ("session", labels.session),
            ("customer", labels.customer),
            ("agent", labels.agent),
            ("user", caller.user),
            ("project", caller.project),
            ("team", caller.team),
        )
        for kind, name in named:
            if name is not None:
                yield Scope(kind, name)
        for tag in labels.tags:
            yield Scope("tag", tag)
        yield Scope("global", "")


def _at_once(quota: Quota | None) -> TakeNow | None:
    return quota.take_now if isinstance(quota, QuickQuota) else None
