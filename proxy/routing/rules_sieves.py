"""Conditions compiled: one sieve per kind of condition, for all rules at once.

A rule is a bit. `allows` gives the mask of the rules that a request does not contradict: those
without the condition, and those whose condition holds. The list at the end says which conditions
there are, cheapest first; a kind that no rule asks for costs nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from proxy.core.caller import ModelPatterns
from proxy.routing.facts import Facts
from proxy.routing.rules_when import Tokens, When


class Sieve:
    """One condition. This kind holds where the request has a value that is listed, or wanted.

    `name`: in the configuration. `asked`: the mask of the rules that have it. `found` and `wanted`:
    what a request has and what a rule wants."""

    __slots__ = ("_rules", "asked", "found", "name", "rest", "wanted")

    def __init__(self, name: str, wanted: str, found: str, rules: Sequence[When]) -> None:
        self.name = name
        self.found: Callable[[Facts], Any] = attrgetter(found)
        self.wanted: Callable[[When], Any] = attrgetter(wanted)
        values = [_listed(self.wanted(when)) for when in rules]
        self.asked = sum(1 << at for at, each in enumerate(values) if each)
        self.rest = ((1 << len(rules)) - 1) & ~self.asked
        self._rules = _by_value(values)

    def allows(self, facts: Facts, /) -> int:
        """The rules that the request does not contradict."""
        return self.rest | self._rules.get(self.found(facts), 0)


class AnyOf(Sieve):
    """Holds where one of the request's values is listed."""

    __slots__ = ()

    def allows(self, facts: Facts, /) -> int:
        return self._of_these(self.found(facts))

    def _of_these(self, values: Iterable[object]) -> int:
        mask = self.rest
        for value in values:
            mask |= self._rules.get(value, 0)
        return mask


class Media(AnyOf):
    """Holds for `text` where there is nothing else, for another medium where there is some."""

    __slots__ = ()

    def allows(self, facts: Facts, /) -> int:
        found = facts.modality
        return self._of_these(found - {"text"} or found)


class Patterns(Sieve):
    """Holds where the model asked for fits one of the patterns."""

    __slots__ = ("_starred",)

    def __init__(self, name: str, wanted: str, found: str, rules: Sequence[When]) -> None:
        super().__init__(name, wanted, found, rules)
        self._starred = tuple(
            (ModelPatterns.of((pattern,)), mask)
            for pattern, mask in self._rules.items()
            if isinstance(pattern, str) and "*" in pattern
        )

    def allows(self, facts: Facts, /) -> int:
        model = facts.model
        mask = self.rest | (self._rules.get(model, 0) if "*" not in model else 0)
        for pattern, rules in self._starred:
            if model in pattern:
                mask |= rules
        return mask


class Within(Sieve):
    """Holds where a number is within the range."""

    __slots__ = ("_ranges",)

    def __init__(self, name: str, wanted: str, found: str, rules: Sequence[When]) -> None:
        super().__init__(name, wanted, found, rules)
        self._ranges = tuple(
            (each, mask) for each, mask in self._rules.items() if isinstance(each, Tokens)
        )

    def allows(self, facts: Facts, /) -> int:
        mask, number = self.rest, self.found(facts)
        for each, rules in self._ranges:
            if number in each:
                mask |= rules
        return mask


_SIEVES: tuple[tuple[type[Sieve], str, str, str], ...] = (
    # Condition, field of When, of Facts.
    (Patterns, "model", "models", "model"),
    (Sieve, "agent", "agents", "agent"),
    (Sieve, "team", "teams", "team"),
    (Sieve, "user_tier", "user_tiers", "user_tier"),
    (AnyOf, "tags", "tags", "tags"),
    (Sieve, "task", "tasks", "task"),
    (Sieve, "tools", "tools", "tools"),
    (Within, "content_tokens", "content_tokens", "content_tokens"),
    (Media, "modality", "modality", "modality"),
    (Sieve, "language", "languages", "language"),
    (Sieve, "contains_code", "contains_code", "contains_code"),
    (Sieve, "contains_math", "contains_math", "contains_math"),
)


def sieves_of(rules: Sequence[When]) -> tuple[Sieve, ...]:
    """The sieves that these rules need, in the order to ask them."""
    sieves = (kind(name, wanted, found, rules) for kind, name, wanted, found in _SIEVES)
    return tuple(sieve for sieve in sieves if sieve.asked)


def _listed(wanted: object) -> tuple[object, ...]:
    if wanted is None:
        return ()
    return wanted if isinstance(wanted, tuple) else (wanted,)


def _by_value(values: Iterable[Iterable[object]]) -> dict[object, int]:
    masks: dict[object, int] = {}
    for at, each in enumerate(values):
        for value in each:
            masks[value] = masks.get(value, 0) | 1 << at
    return masks
