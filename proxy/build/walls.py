"""From the limits and budgets that are written to the rules that are kept."""

from typing import TYPE_CHECKING

from proxy.base.periods import load
from proxy.config.limits import Budget, Limits
from proxy.config.limits import Walls as WallsSettings
from proxy.config.settings import Settings
from proxy.core.gate import Rulebook
from proxy.core.quota import Calendar, Measure, Rule, Scope, ScopeKind, Sliding, Walls
from proxy.limits.rulebook import Walled, for_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

_NANO = 10**9
_RATES: tuple[tuple[str, Measure, int], ...] = (
    ("rpm", "requests", 60),
    ("tpm", "tokens", 60),
    ("rpd", "requests", 86400),
    ("tpd", "tokens", 86400),
)


def walls(scope: Scope, limits: Limits, budgets: tuple[Budget, ...]) -> Walls:
    """The walls around one scope."""
    rates = [
        Rule(scope, name, measure, limit, Sliding(seconds))
        for name, measure, seconds in _RATES
        if (limit := getattr(limits, name)) is not None
    ]
    if limits.concurrency is not None:
        rates.append(Rule(scope, "concurrency", "concurrency", limits.concurrency, None))
    return Walls(
        tuple(rates),
        tuple(_budget(scope, budget) for budget in budgets),
        limits.tokens_per_request,
    )


def rulebook(settings: Settings, stored: Rulebook | None = None) -> Rulebook:
    """All scopes that have limits or budgets by name: in the configuration, and in the store."""
    named: dict[Scope, Walls] = {}
    each: dict[ScopeKind, Walls] = {}
    kinds: tuple[tuple[ScopeKind, Mapping[str, WallsSettings]], ...] = (
        ("team", settings.teams),
        ("user", settings.users),
        ("project", settings.projects),
        ("customer", settings.customers),
        ("agent", settings.agents),
        ("session", settings.sessions),
        ("tag", settings.tags),
    )
    for kind, written in kinds:
        for name, wall in written.items():
            around = walls(Scope(kind, name), wall.limits, wall.budgets)
            if name == "*":
                each[kind] = around
            else:
                named[Scope(kind, name)] = around
    everyone = Scope("global", "")
    if of_all := walls(everyone, settings.everyone.limits, settings.everyone.budgets):
        named[everyone] = of_all
    if stored is None:
        return Walled(named, each)
    return _AlsoStored(Walled(named, each, _Stored(stored, frozenset(each))), stored)


class _Stored:
    """The rulebook of the store, its `*` included where the configuration has none."""

    __slots__ = ("_configured", "_stored")

    def __init__(self, stored: Rulebook, configured: frozenset[ScopeKind]) -> None:
        self._stored = stored
        self._configured = configured  # Kinds whose `*` is written in the configuration.

    def walls(self, scope: Scope) -> Walls | None:
        """What stands around it, or None."""
        found = self._stored.walls(scope)
        if found is not None or scope.kind in self._configured:
            return found
        pattern = self._stored.walls(Scope(scope.kind, "*"))
        return for_scope(pattern, scope) if pattern is not None else None


class _AlsoStored:
    """Asks the store first, which refuses what is blocked there, whoever has written its walls."""

    __slots__ = ("_all", "_stored")

    def __init__(self, all_walls: Rulebook, stored: Rulebook) -> None:
        self._all = all_walls
        self._stored = stored

    def walls(self, scope: Scope) -> Walls | None:
        """What stands around it, or None. Raises AccessDenied, StoreUnavailable."""
        _ = self._stored.walls(scope)
        return self._all.walls(scope)


def has_walls(settings: Settings) -> bool:
    """Whether anything at all is limited by this configuration."""
    written: list[tuple[Limits, tuple[Budget, ...]]] = [
        (settings.everyone.limits, settings.everyone.budgets)
    ]
    for scopes in (
        settings.teams, settings.users, settings.projects, settings.customers, settings.agents,
        settings.sessions, settings.tags, settings.models, settings.providers,
    ):  # fmt: skip
        written += ((each.limits, each.budgets) for each in scopes.values())
    for key in settings.keys:
        written.append((key.limits, key.budgets))
        written += ((each.limits, each.budgets) for each in key.model_limits.values())
    written += ((each.grants.limits, each.grants.budgets) for each in settings.jwt)
    return any(budgets or limits != _UNLIMITED for limits, budgets in written)


_UNLIMITED = Limits()


def _budget(scope: Scope, budget: Budget) -> Rule:
    load(budget.zone)  # Its file is read now, so that no request waits for it.
    rollover = budget.rollover
    calendar = Calendar(
        budget.period,
        budget.zone,
        rollover.fraction if rollover is not None else 0.0,
        rollover.expires if rollover is not None else 1,
    )
    name = f"budget per {budget.period}" if budget.hard else f"soft budget per {budget.period}"
    return Rule(scope, name, "money", int(budget.amount * _NANO), calendar, budget.hard)
