"""Which budgets are watched: those with `alerts`, of the configuration and of the store.

The same order as where they are kept (`build/walls.py`): an entry of the configuration, then one of
the store, then the `*` of the configuration, or else that of the store.
"""

import logging
from collections.abc import Iterator, Mapping

from proxy.build.walls import walls
from proxy.config.callers import VirtualKey
from proxy.config.limits import Budget, Limits, Walls
from proxy.config.scopes import ScopeSettings
from proxy.config.settings import Settings
from proxy.core.alerts import StoredBudgets, WatchedBudget
from proxy.core.quota import Calendar, Scope, ScopeKind

log = logging.getLogger("llm-proxy.alerts")

_NO_LIMITS = Limits()


def configured(settings: Settings) -> tuple[list[WatchedBudget], set[Scope]]:
    """Those of the configuration, and all scopes that have an entry there."""
    found: list[WatchedBudget] = []
    entries: set[Scope] = set()
    for scope, entry in _entries(settings):
        each = "" if scope.name == "*" and scope.kind not in _NAMES_WITH_STAR else None
        found += _watched(scope, entry.budgets, each=each)
        entries.add(scope)
    for key in settings.keys:
        found += _of_key(key)
        entries.add(Scope("key", key.name))
    for issuer in settings.jwt:
        # Bearers are known as <name>@<issuer without its scheme> (identity/claims.py).
        suffix = f"@{issuer.issuer.partition('://')[2] or issuer.issuer}"
        found += _watched(Scope("key", "*"), issuer.grants.budgets, each=suffix)
    return found, entries


def stored(documents: StoredBudgets) -> list[WatchedBudget]:
    """Those of the store."""
    found: list[WatchedBudget] = []
    for document in documents.keys:
        try:
            found += _of_key(VirtualKey.model_validate(document))
        except ValueError:
            log.warning("the budgets of a stored key are not understood, and not watched")
    for scope, document in documents.scopes:
        try:
            budgets = ScopeSettings.model_validate(document).budgets
        except ValueError:
            log.warning("the budgets of %s are not understood, and not watched", scope)
        else:
            found += _watched(scope, budgets, each="" if scope.name == "*" else None)
    return found


_NAMES_WITH_STAR = frozenset(("model", "provider"))
"""Kinds whose `*` is a name like others: the model that takes what no other does."""


def _entries(settings: Settings) -> Iterator[tuple[Scope, Walls]]:
    kinds: tuple[tuple[ScopeKind, Mapping[str, Walls]], ...] = (
        ("team", settings.teams),
        ("user", settings.users),
        ("project", settings.projects),
        ("customer", settings.customers),
        ("agent", settings.agents),
        ("session", settings.sessions),
        ("tag", settings.tags),
    )
    for kind, written in kinds:
        for name, entry in written.items():
            yield Scope(kind, name), entry
    # Of these, one without walls leaves room for those of the store.
    others = [(Scope("global", ""), settings.everyone)]
    for name, model in settings.models.items():
        others.append((Scope("model", name), Walls(limits=model.limits, budgets=model.budgets)))
    for name, provider in settings.providers.items():
        around = Walls(limits=provider.limits, budgets=provider.budgets)
        others.append((Scope("provider", name), around))
    for scope, entry in others:
        if entry.budgets or entry.limits != _NO_LIMITS:
            yield scope, entry


def _of_key(key: VirtualKey) -> Iterator[WatchedBudget]:
    yield from _watched(Scope("key", key.name), key.budgets)
    for pattern, entry in key.model_limits.items():
        scope = Scope("key_model", f"{key.name}/{pattern}")
        yield from _watched(scope, entry.budgets, of_key=(key.name, pattern))


def _watched(
    scope: Scope,
    budgets: tuple[Budget, ...],
    *,
    each: str | None = None,
    of_key: tuple[str, str] | None = None,
) -> Iterator[WatchedBudget]:
    rules = walls(scope, _NO_LIMITS, budgets).budgets
    for budget, rule in zip(budgets, rules, strict=True):
        if budget.alerts:
            assert isinstance(rule.window, Calendar)
            percents = tuple(sorted(budget.alerts))
            yield WatchedBudget(
                *(rule.scope, rule.name, rule.limit, rule.window.period, rule.window.zone),
                *(rule.hard, percents, each, of_key),
            )
