"""All walls that one kind of request meets, bound to the store once and kept.

A kind of request is: this caller, this model, these labels. Its rates are one quota, taken at
admission; its budgets, with the walls of a provider, are another, one for each provider, taken at
every attempt. An attempt at another model than the one that took the request (its fallback, or one
that was wished) is taken from that model in the other's place, from its rates too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

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
from proxy.core.target import Provider, Target

if TYPE_CHECKING:
    from proxy.core.labels import Labels

_MOST_KEPT: Final = 4096
_OF_A_MODEL: Final = frozenset(("model", "key_model"))

TakeNow = Callable[[int, int, int], Grant | None]
"""`QuickQuota.take_now`."""


@dataclass(slots=True)
class AttemptQuota:
    """What one attempt at a target takes from."""

    quota: Quota
    take_now: TakeNow | None
    counts_tokens: bool
    has_money: bool
    hard: bool  # At least one budget is a wall.
    per_request: tuple[int, Scope] | None = None  # Of another model than the one asked for.


@dataclass(slots=True)
class Bundle:
    """The walls of one kind of request."""

    caller: Caller
    model: str  # The configured one that took it; empty: none did.
    rates: Quota | None
    take_now: TakeNow | None  # Of the rates, where the store decides at once.
    joined: JoinedQuota | None  # The rates, where their store is asked for two quotas at once.
    counts_tokens: bool
    budgets: tuple[Rule, ...]
    per_request: tuple[int, Scope] | None  # The lowest `tokens_per_request`, and whose it is.
    era: Any  # That of its walls.
    # By provider, and by model where that is not the one that took the request.
    attempts: dict[str | tuple[str, str], AttemptQuota | None] = field(default_factory=dict)
    target: Target | None = None  # That of the last attempt: mostly it is that of the next one too,
    asked: AttemptQuota | None = None  # which takes from this.


class Bundles:
    """Finds and keeps bundles; bounded."""

    __slots__ = ("_kept", "_rulebook", "_share", "_store", "era")

    def __init__(self, store: QuotaStore, rulebook: Rulebook, share: int = 1) -> None:
        """`share`: among so many every limit is divided, rounded down."""
        self._store = store
        self._rulebook = rulebook
        self._share = share
        self.era = object()  # Another one when walls have changed.
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

    def attempt(self, bundle: Bundle, target: Target) -> AttemptQuota | None:
        """What an attempt at a target takes from, or None where nothing stands."""
        if bundle.target is not target:
            bundle.asked = self._found(bundle, target)
            bundle.target = target
        return bundle.asked

    def _found(self, bundle: Bundle, target: Target) -> AttemptQuota | None:
        name, own, model = target.provider.name, bundle.model, target.route
        place = name if model == own or not (model and own) else (name, model)
        try:
            return bundle.attempts[place]
        except KeyError:
            rules, most = bundle.budgets, None
            if place is not name:
                rules, most = self._elsewhere(bundle, target)
            found = bundle.attempts[place] = self._attempt(rules, most, target.provider)
            return found

    def _attempt(
        self, rules: tuple[Rule, ...], most: tuple[int, Scope] | None, provider: Provider
    ) -> AttemptQuota | None:
        stored = self._rulebook.walls(Scope("provider", provider.name))
        around = provider.walls or stored or NO_WALLS
        rules += around.rates + around.budgets
        if not rules and most is None:
            return None
        money = [rule for rule in rules if rule.measure == "money"]
        quota = self._bind(rules)
        return AttemptQuota(
            quota,
            _at_once(quota),
            any(rule.measure == "tokens" for rule in rules),
            bool(money),
            any(rule.hard for rule in money),
            most,
        )

    def _elsewhere(
        self, bundle: Bundle, target: Target
    ) -> tuple[tuple[Rule, ...], tuple[int, Scope] | None]:
        """What stands around the request, at the model of this target in place of its own. What
        admission has taken from already, by a pattern that both have, is not taken twice."""
        caller, model = bundle.caller, target.route
        scope = Scope("model", model)
        stored = self._rulebook.walls(scope)
        found = [(scope, target.walls or stored or NO_WALLS)]
        of_key = Scope("key_model", f"{caller.name}/{model}")
        found += [(of_key, walls) for patterns, walls in caller.per_model if model in patterns]
        admitted = bundle.rates.rules if bundle.rates is not None else ()
        taken = {rule.key for rule in admitted}
        rules = [rule for rule in bundle.budgets if rule.scope.kind not in _OF_A_MODEL]
        for _, walls in found:
            rules += [rule for rule in walls.rates if rule.key not in taken]
            rules += walls.budgets
        return tuple(rules), _lowest(found)

    def forget(self) -> None:
        """Walls have changed: make all bundles anew."""
        self._kept.clear()
        self.era = object()

    def _bind(self, rules: tuple[Rule, ...]) -> Quota:
        if self._share > 1:
            rules = tuple(replace(rule, limit=rule.limit // self._share) for rule in rules)
        return self._store.bind(rules)

    def _make(self, x: Exchange, caller: Caller) -> Bundle:
        found = list(self._walls(x, caller))
        rates = tuple(rule for _, walls in found for rule in walls.rates)
        quota = self._bind(rates) if rates else None
        return Bundle(
            caller,
            x.route.model if x.route is not None else "",
            quota,
            _at_once(quota),
            quota if isinstance(quota, JoinedQuota) else None,
            any(rule.measure == "tokens" for rule in rates),
            tuple(rule for _, walls in found for rule in walls.budgets),
            _lowest(found),
            self.era,
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


def _lowest(found: list[tuple[Scope, Walls]]) -> tuple[int, Scope] | None:
    """The lowest `tokens_per_request`, and whose it is."""
    most = [(w.tokens_per_request, scope) for scope, w in found if w.tokens_per_request is not None]
    return min(most) if most else None


def _at_once(quota: Quota | None) -> TakeNow | None:
    return quota.take_now if isinstance(quota, QuickQuota) else None
