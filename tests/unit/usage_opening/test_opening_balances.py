"""The worker's side: one question at a time to a child process, and only when there is a need."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.base import clock
from proxy.base.secret import Secret
from proxy.build.balances import SpentBefore, balances, named_budgets
from proxy.config.limits import Budget, Rollover, Walls
from proxy.config.settings import Settings
from proxy.core.quota import Calendar, QuotaUnknown, Rule, Scope, Spent, Wanted
from proxy.stores.postgres.usage import PostgresUsage
from tests.unit.usage_opening.opening_books import attempt, record, write_segment

MONTH = Rule(Scope("key", "alice"), "budget per month", "money", 10**9, Calendar("month"))
TOTAL = Rule(Scope("key", "alice"), "budget per total", "money", 10**9, Calendar("total"))
ROLLING = Rule(
    Scope("key", "alice"), "budget per day", "money", 10**9, Calendar("day", "UTC", 1.0, 3)
)


def wanted(*rules: Rule) -> tuple[Wanted, ...]:
    return tuple(Wanted(rule, None) for rule in rules)


def settings(folder: Path, store: str | None = None) -> Settings:
    return Settings(data_dir=folder, store=Secret(store) if store is not None else "embedded")


@pytest.fixture
async def spent(tmp_path: Path) -> AsyncIterator[SpentBefore]:
    """Of a data_dir without a database."""
    found = SpentBefore(settings(tmp_path), "worker-0")
    yield found
    await found.close()


async def test_nobody_is_asked_where_nothing_was_recorded(
    spent: SpentBefore, tmp_path: Path
) -> None:
    write_segment(tmp_path, [], number=1, pid=os.getpid())
    assert await spent.spent(wanted(MONTH, TOTAL)) == [Spent(0), Spent(0)]
    assert spent._child is None


async def test_the_child_is_asked_and_kept(spent: SpentBefore, tmp_path: Path) -> None:
    at = clock.wall()
    write_segment(tmp_path, [record(1, at, attempt("p", 0, 5))], number=1, pid=77)
    assert await spent.spent(wanted(MONTH, TOTAL)) == [Spent(5), Spent(5)]
    first = spent._child
    assert await spent.spent(wanted(TOTAL)) == [Spent(5)]
    assert spent._child is first


async def test_a_child_that_was_started_before_is_the_one_that_is_asked(
    spent: SpentBefore, tmp_path: Path
) -> None:
    write_segment(tmp_path, [record(1, 0, attempt("p", 0, 5))], number=1, pid=77)
    _, found = await asyncio.gather(spent.prepare(), spent.spent(wanted(TOTAL)))
    early = spent._child
    await spent.prepare()
    assert found == [Spent(5)]
    assert early is not None and spent._child is early


async def test_none_is_started_where_nobody_will_ask(spent: SpentBefore) -> None:
    await spent.prepare()
    assert spent._child is None


async def test_a_child_that_dies_is_replaced(spent: SpentBefore, tmp_path: Path) -> None:
    write_segment(tmp_path, [record(1, 0, attempt("p", 0, 5))], number=1, pid=77)
    assert await spent.spent(wanted(TOTAL)) == [Spent(5)]
    assert spent._child is not None
    os.kill(spent._child.pid, signal.SIGKILL)
    try:
        found = await spent.spent(wanted(TOTAL))
    except QuotaUnknown:
        found = await spent.spent(wanted(TOTAL))
    assert found == [Spent(5)]


async def test_a_question_that_is_given_up_does_not_answer_the_next(
    spent: SpentBefore, tmp_path: Path
) -> None:
    write_segment(tmp_path, [record(1, 0, attempt("p", 0, 5))], number=1, pid=77)
    task = asyncio.get_running_loop().create_task(spent.spent(wanted(MONTH, MONTH)))
    while spent._child is None:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await spent.spent(wanted(TOTAL)) == [Spent(5)]


async def test_a_worker_waits_until_its_predecessor_is_gone(
    spent: SpentBefore, tmp_path: Path
) -> None:
    assert await spent.spent(wanted(TOTAL)) == [Spent(0)]
    successor = SpentBefore(settings(tmp_path), "worker-0")
    with pytest.raises(QuotaUnknown, match="another worker"):
        await successor.spent(wanted(TOTAL))
    await spent.close()
    assert await successor.spent(wanted(TOTAL)) == [Spent(0)]
    await successor.close()


async def test_a_database_that_is_away_is_no_zero(tmp_path: Path) -> None:
    away = f"postgresql://nobody@/none?host={tmp_path}"
    asks = SpentBefore(settings(tmp_path, away), "worker-0")
    for _ in range(2):
        with pytest.raises(QuotaUnknown, match="No such file"):
            await asks.spent(wanted(TOTAL))
    await asks.close()


async def test_windows_before_are_told_as_far_as_anything_was_spent(
    postgres: str, tmp_path: Path
) -> None:
    today = datetime.fromtimestamp(clock.wall(), UTC).replace(hour=0, minute=0, second=1)
    store = PostgresUsage(postgres)
    kept = [
        record(days, today.timestamp() - days * 86400, attempt("p", 0, 10**days))
        for days in (0, 2, 5)
    ]
    await store.ship("s/1", 0, 10, kept)
    asks = SpentBefore(settings(tmp_path, postgres), "worker-0")
    assert await asks.spent(wanted(ROLLING, MONTH)) is not None
    other = Rule(Scope("key", "bob"), "b", "money", 1, Calendar("day", "UTC", 1.0, 3))
    await store.ship(
        "s/2", 0, 10, [record(9, today.timestamp() - 86400, attempt("p", 0, 7), key="bob")]
    )
    assert await asks.spent(wanted(ROLLING, other)) == [Spent(1, (0, 100, 0)), Spent(0, (7,))]
    await asks.close()
    await store.close()


def test_who_has_no_records_has_no_balances(tmp_path: Path) -> None:
    assert balances(Settings(data_dir=tmp_path, store="none"), "worker-0") is None
    assert balances(settings(tmp_path), "worker-0") is not None


def test_budgets_that_are_written_are_known_by_name() -> None:
    budget = Budget.model_validate({"amount": "5", "period": "month"})
    rolling = Budget.model_validate({"amount": "5", "period": "day"}).model_copy(
        update={"rollover": Rollover.model_validate({"fraction": 1})}
    )
    every = Walls(budgets=(budget,))
    written = Settings(
        teams={"red": Walls(budgets=(budget, rolling)), "*": every}, customers={"*": every}
    ).model_copy(update={"everyone": every})
    assert [str(rule.scope) for rule in named_budgets(written)] == [
        "team `red`",
        "team `red`",
        "global",
    ]
