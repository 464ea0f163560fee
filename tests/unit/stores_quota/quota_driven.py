"""What the contract of stores is written in: a store whose clock the test moves, rules, demands.

A test of a store has a fixture `make_store` (a `MakeStore`) that makes empty stores, each with its
own counts and its own clock, and closes them in the end; then it inherits the classes of
`quota_contract.py`. All times in the contract are multiples of 1/8 s, so that no store needs to
round.
"""

from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

import pytest

from proxy.core.quota import (
    Calendar,
    Demand,
    Denial,
    Grant,
    Measure,
    Quota,
    QuotaExceeded,
    QuotaStore,
    Rule,
    Scope,
    Sliding,
)

MINUTE = Sliding(60)
DAY = Sliding(86_400)
DAILY = Calendar("day")
WEDNESDAY_NOON = datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp()
ALICE = Scope("key", "alice")


class Driven(Protocol):
    """A store under test."""

    precision: float  # Seconds by which its times may be off.

    @property
    def store(self) -> QuotaStore:
        """The store itself."""

    def forward(self, seconds: float) -> None:
        """Let time pass: for windows of both kinds, and for nobody else."""

    def back(self, seconds: float) -> None:
        """The clock is put back."""

    async def flush(self) -> None:
        """Return when what was settled, cancelled and corrected so far is counted."""


class MakeStore(Protocol):
    """Makes an empty store at a moment."""

    async def __call__(self, at: float = WEDNESDAY_NOON) -> Driven: ...


def rule(
    measure: Measure,
    limit: int,
    window: Sliding | Calendar | None = None,
    *,
    scope: Scope = ALICE,
    hard: bool = True,
) -> Rule:
    """A rule whose name says what it counts."""
    return Rule(scope, f"{measure} {window}", measure, limit, window, hard)


def requests(limit: int, window: Sliding = MINUTE, *, hard: bool = True) -> Rule:
    return rule("requests", limit, window, hard=hard)


def tokens(limit: int, window: Sliding = MINUTE, *, hard: bool = True) -> Rule:
    return rule("tokens", limit, window, hard=hard)


def slots(limit: int, *, hard: bool = True) -> Rule:
    return rule("concurrency", limit, hard=hard)


def money(limit: int, window: Calendar = DAILY, *, scope: Scope = ALICE, hard: bool = True) -> Rule:
    return rule("money", limit, window, scope=scope, hard=hard)


def demand(tokens: int = 0, money: int = 0, least: int | None = None) -> Demand:
    """Something nobody asked for before. Of money all or nothing, unless told."""
    return Demand(uuid4().hex, tokens, money, money if least is None else least)


async def refused(quota: Quota, asked: Demand | None = None) -> Denial:
    """The denial of a demand that must be refused."""
    with pytest.raises(QuotaExceeded) as caught:
        await quota.take(asked or demand())
    return caught.value.denial


async def took(driven: Driven, quota: Quota, asked: Demand | None = None) -> Grant | None:
    """The grant, or None where the demand was refused."""
    await driven.flush()
    try:
        return await quota.take(asked or demand())
    except QuotaExceeded:
        return None


async def left(driven: Driven, one: Rule) -> int:
    """What a rule has left, seen without taking anything for good."""
    await driven.flush()
    quota = driven.store.bind((one,))
    try:
        grant = await quota.take(demand())
    except QuotaExceeded as refusal:
        return refusal.denial.level.remaining
    level = grant.levels()[0]
    grant.cancel()
    await driven.flush()
    return level.remaining + (one.measure in {"requests", "concurrency"})
