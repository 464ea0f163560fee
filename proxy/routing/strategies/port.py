"""What a strategy is, and what it may ask of a request.

`Ask` is lazy: each answer is worked out when a strategy or the planner wants it, once, so a model
whose strategy needs nothing costs nothing. Whoever knows the request implements it. `Known` is the
same with all answers given: for explaining, for replaying what was recorded, for tests.

A strategy returns all that it was given, each once. Weight 0 means a spare in every one of them:
last, whatever else speaks for it.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from proxy.core.target import Route, Target


class Ask(Protocol):
    """What is known of one request."""

    @property
    def route(self) -> str:
        """The configured model asked for, also while a fallback of it is put in order."""

    @property
    def sticky(self) -> str:
        """What belongs together: the session, else the key; empty: nothing does."""

    @property
    def tokens_in(self) -> int:
        """Of input, estimated."""

    @property
    def tokens_out(self) -> int:
        """Of output at most; 0: the caller named no number."""

    @property
    def longest(self) -> int:
        """Tokens of both that it can have at most, known at once: no text has more than bytes."""

    @property
    def complexity(self) -> float:
        """How hard it seems to be, from 0 to 1: complexity.py."""

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that it cannot do without."""

    @property
    def draw(self) -> Callable[[], float]:
        """A source of random numbers from 0 to below 1."""

    def price(self, target: Target, /) -> int | None:
        """What it is likely to cost there, in nano-USD; None: no price is known."""

    def most(self, target: Target, /) -> int | None:
        """The most that it can cost there, in nano-USD; None: nobody knows."""

    def refusal(self, model: str, route: Route, /) -> str | None:
        """Why the caller may not use this model, or None: asked before a fallback is offered."""


class Strategy(Protocol):
    """Puts targets in the order to try them. Never raises, whatever is not known."""

    @property
    def name(self) -> str:
        """As in the configuration."""

    def order(self, targets: tuple[Target, ...], ask: Ask, /) -> tuple[Target, ...]:
        """All of them, the first to be tried first."""


def _unpriced(_target: Target) -> int | None:
    return None


def _allowed(_model: str, _route: Route) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Known:
    """An Ask whose answers are known."""

    route: str = ""
    sticky: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    complexity: float = 0.0
    needs: frozenset[str] = frozenset()
    draw: Callable[[], float] = random.random
    price: Callable[[Target], int | None] = _unpriced
    most: Callable[[Target], int | None] = _unpriced
    refusal: Callable[[str, Route], str | None] = _allowed

    @property
    def longest(self) -> int:
        """As many as are estimated."""
        return self.tokens_in + self.tokens_out
