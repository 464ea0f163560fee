"""Which walls stand around a scope: those written for its name, else those of its kind's `*`.

`*` gives each scope of the kind its own count. Scopes that the configuration does not name may have
walls in the store as well (`more`); the configuration comes first.
"""

from collections.abc import Mapping
from dataclasses import replace

from proxy.core.gate import Rulebook
from proxy.core.quota import NO_WALLS, Scope, ScopeKind, Walls

_MOST_KNOWN = 10_000


class Walled:
    """The Rulebook of a configuration."""

    __slots__ = ("_each", "_known", "_more", "_named")

    def __init__(
        self,
        named: Mapping[Scope, Walls],
        each: Mapping[ScopeKind, Walls],
        more: Rulebook | None = None,
    ) -> None:
        """`each`: what is written for `*`, by kind."""
        self._named = named
        self._each = each
        self._more = more
        self._known: dict[Scope, Walls] = {}

    def walls(self, scope: Scope) -> Walls | None:
        """What stands around it, or None."""
        found = self._named.get(scope)
        if found is None and self._more is not None:
            found = self._more.walls(scope)
        if found is None:
            found = self._known.get(scope) or self._own(scope)
        return found or None

    def _own(self, scope: Scope) -> Walls | None:
        pattern = self._each.get(scope.kind)
        if pattern is None:
            return None
        own = for_scope(pattern, scope)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[scope] = own
        return own


def for_scope(pattern: Walls, scope: Scope) -> Walls:
    """The same walls around another scope."""
    if not pattern:
        return NO_WALLS
    return Walls(
        tuple(replace(rule, scope=scope) for rule in pattern.rates),
        tuple(replace(rule, scope=scope) for rule in pattern.budgets),
        pattern.tokens_per_request,
    )
