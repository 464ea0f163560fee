"""What a rule may ask of a request: plain values, compiled by rules_sieves.py."""

from dataclasses import dataclass
from typing import Protocol

from proxy.routing.facts import Facts


class ExpressionFailed(Exception):
    """An expression has no answer for a request. The message says why."""


class Expression(Protocol):
    """A condition in words of its own."""

    @property
    def text(self) -> str:
        """As it was written."""

    def holds(self, facts: Facts, /) -> bool:
        """Raises ExpressionFailed."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """So many at least, and so many at most."""

    least: int = 0
    most: int | None = None

    def __contains__(self, count: int) -> bool:
        return self.least <= count and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        return f"{self.least} or more" if self.most is None else f"{self.least} to {self.most}"


@dataclass(frozen=True, slots=True)
class When:
    """Conditions, all of which must hold. Empty, or None: not asked. Of a list one must fit."""

    models: tuple[str, ...] = ()  # Asked for; one `*` each at most.
    tasks: tuple[str, ...] = ()
    user_tiers: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    content_tokens: Tokens | None = None
    contains_code: bool | None = None
    contains_math: bool | None = None
    modality: tuple[str, ...] = ()  # `text` fits a request that is nothing but text.
    tools: bool | None = None
    languages: tuple[str, ...] = ()  # ISO 639-1.
    expression: Expression | None = None
