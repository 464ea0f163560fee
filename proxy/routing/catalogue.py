"""All configured models: exact names first, then patterns, the most specific first.

A pattern has one `*`. What the star stood for takes the place of the star in a target's model, so
`openai/*` with the target model `*` sends the rest of the name upstream.
"""

import difflib
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from proxy.core.target import Route, Target

_LONGEST_COMPARED: Final = 100
_MOST_KNOWN: Final = 4096


class Models:
    """The Catalogue of a configuration."""

    def __init__(self, models: Iterable[Route]) -> None:
        """The routes, `model` being the configured name."""
        routes = {route.model: route for route in models}
        self._routes = tuple(routes.values())
        self._exact = tuple(name for name in routes if "*" not in name)
        # Exact names for good, names that a pattern took as long as there is room.
        self._known = {name: routes[name] for name in self._exact}
        starred = [name for name in routes if "*" in name]
        # The longer the literal text, the more specific the pattern; names break ties, because the
        # order in the file has no meaning.
        starred.sort(key=lambda name: (len(name), name), reverse=True)
        self._patterns: tuple[tuple[str, str, Route], ...] = tuple(
            (*_halves(name), routes[name]) for name in starred
        )

    def route(self, asked: str) -> Route | None:
        """The route of a model name, or None if unknown."""
        known = self._known
        return known[asked] if asked in known else self._find(asked)

    def _find(self, asked: str) -> Route | None:
        for before, after, pattern in self._patterns:
            if (
                asked.startswith(before)
                and asked.endswith(after)
                and len(asked) > len(before) + len(after)
            ):
                star = asked[len(before) : len(asked) - len(after)]
                targets = tuple(_filled(target, star) for target in pattern.targets)
                route = replace(pattern, targets=targets)
                if len(self._known) < _MOST_KNOWN:
                    self._known[asked] = route
                return route
        return None

    def names(self) -> tuple[str, ...]:
        """Every name that can be asked for literally (no patterns)."""
        return self._exact

    def routes(self) -> tuple[Route, ...]:
        """Every route, patterns too, targets as they are written."""
        return self._routes

    def near(self, asked: str) -> str | None:
        """The known name most like `asked`, if any is."""
        near = difflib.get_close_matches(asked[:_LONGEST_COMPARED], self._exact, n=1)
        return near[0] if near else None


def _halves(pattern: str) -> tuple[str, str]:
    before, _, after = pattern.partition("*")
    return before, after


def _filled(target: Target, star: str) -> Target:
    model = target.model.replace("*", star, 1)
    return replace(target, model=model, health=target.health.named(model))
