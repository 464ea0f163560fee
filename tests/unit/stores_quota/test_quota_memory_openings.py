"""What was spent before this process began: unknown until it was fetched, and never given twice."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from proxy.core.quota import Calendar, Quota, QuotaUnknown, Scope, Spent, Wanted
from proxy.stores.memory.store import MemoryQuotas
from tests.unit.stores_quota.quota_driven import (
    DAILY,
    WEDNESDAY_NOON,
    demand,
    money,
    refused,
    requests,
)

TEAM = Scope("team", "research")


class Ledger:
    """Balances that answer when they are let to, and fail when they are told to."""

    def __init__(self, spent: Mapping[str, int]) -> None:
        self.spent_before = spent
        self.asked: list[tuple[Wanted, ...]] = []
        self.fail = False
        self.called = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def spent(self, wanted: tuple[Wanted, ...]) -> Sequence[Spent]:
        self.asked.append(wanted)
        self.called.set()
        await self.may_answer.wait()
        if self.fail:
            raise QuotaUnknown("the database is away")
        return [Spent(self.spent_before.get(each.rule.key, 0)) for each in wanted]


class Clock:
    """A wall clock moved by hand."""

    def __init__(self) -> None:
        self.at = WEDNESDAY_NOON

    def __call__(self) -> float:
        return self.at


@asynccontextmanager
async def running(store: MemoryQuotas) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(store.run())
    try:
        async with asyncio.timeout(10):
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_known(quota: Quota) -> int:
    """How much there is, once that is known."""
    while True:
        try:
            grant = await quota.take(demand())
        except QuotaUnknown:
            await asyncio.sleep(0.001)
        else:
            there = [each for each in grant.levels() if each.rule.measure == "money"]
            grant.cancel()
            return min(each.remaining for each in there if each.rule.hard)


async def test_nothing_is_given_before_the_balance_is_known() -> None:
    wall = money(100)
    ledger = Ledger({wall.key: 70})
    store = MemoryQuotas(ledger, wall=Clock(), patience=0.05)
    quota = store.bind((requests(5), wall))
    async with running(store):
        for _ in range(10):
            with pytest.raises(QuotaUnknown):
                await quota.take(demand())
        await ledger.called.wait()
        with pytest.raises(QuotaUnknown, match="not known yet"):
            await quota.take(demand(money=10))
        ledger.may_answer.set()
        assert await until_known(quota) == 30
        # What was refused took nothing from the limits either; what was cancelled neither.
        grant = await quota.take(demand(money=30))
        assert [level.remaining for level in grant.levels()] == [4, 0]
        assert (await refused(quota, demand(money=1))).level.rule == wall


async def test_all_that_became_known_are_asked_for_together() -> None:
    walls = [money(100, scope=Scope("customer", str(name))) for name in range(20)]
    ledger = Ledger({wall.key: 99 for wall in walls[:10]})
    store = MemoryQuotas(ledger, wall=Clock())
    quotas = [store.bind((wall, money(5000, scope=TEAM))) for wall in walls]
    ledger.may_answer.set()
    async with running(store):
        assert [await until_known(quota) for quota in quotas] == [1] * 10 + [100] * 10
        assert [len(rules) for rules in ledger.asked] == [21]
        assert await until_known(store.bind((money(7, Calendar("month")),))) == 7
        assert [len(rules) for rules in ledger.asked] == [21, 1]
        assert store.bind(()).rules == ()


async def test_it_is_tried_again() -> None:
    wall = money(100)
    ledger = Ledger({wall.key: 40})
    ledger.fail = True
    ledger.may_answer.set()
    store = MemoryQuotas(ledger, wall=Clock())
    quota = store.bind((wall,))
    assert store.failing() is None
    async with running(store):
        while store.failing() is None:
            await asyncio.sleep(0.001)
        assert "the database is away" in (store.failing() or "")
        with pytest.raises(QuotaUnknown):
            await quota.take(demand())
        ledger.fail = False
        assert await until_known(quota) == 60
        assert store.failing() is None


async def test_soft_budgets_wait_for_nobody() -> None:
    soft = money(100, hard=False)
    ledger = Ledger({soft.key: 70})
    store = MemoryQuotas(ledger, wall=Clock())
    quota = store.bind((soft,))
    grant = await quota.take(demand(money=50))
    assert (grant.money, grant.levels()[0].remaining) == (50, 0)
    grant.settle(0, 20)
    ledger.may_answer.set()
    hard = store.bind((money(100),))
    async with running(store):
        assert await until_known(hard) == 10


async def test_a_window_that_began_meanwhile_is_known() -> None:
    """All of it is counted here; what the answer says is about the window before, or nobody
    knows which."""
    wall = money(100)
    clock = Clock()
    ledger = Ledger({wall.key: 70})
    store = MemoryQuotas(ledger, wall=clock)
    quota = store.bind((wall,))
    async with running(store):
        await ledger.called.wait()
        with pytest.raises(QuotaUnknown):
            await quota.take(demand())
        clock.at += 12 * 3600
        await quota.take(demand(money=10))
        ledger.may_answer.set()
        assert await until_known(quota) == 90
        other = store.bind((money(5, scope=TEAM),))
        assert await until_known(other) == 5
        assert await until_known(quota) == 90


async def test_an_unknown_window_leaves_nothing_to_roll_over() -> None:
    wall = money(100, Calendar("day", rollover=1.0))
    clock = Clock()
    store = MemoryQuotas(Ledger({}), wall=clock)
    quota = store.bind((wall,))
    with pytest.raises(QuotaUnknown):
        await quota.take(demand())
    clock.at += 24 * 3600
    assert await until_known(quota) == 100


async def test_an_answer_about_nobody_knows_which_window_rolls_nothing_over() -> None:
    wall = money(100, Calendar("day", rollover=1.0))
    clock = Clock()
    ledger = Ledger({wall.key: 0})
    store = MemoryQuotas(ledger, wall=clock)
    quota = store.bind((wall,))
    with pytest.raises(QuotaUnknown):
        await quota.take(demand())
    async with running(store):
        await ledger.called.wait()
        clock.at += 24 * 3600
        await quota.take(demand())
        ledger.may_answer.set()
        assert await until_known(store.bind((money(5, scope=TEAM),))) == 5
        assert await until_known(quota) == 100


async def test_a_known_window_rolls_over() -> None:
    wall = money(100, Calendar("day", rollover=1.0))
    clock = Clock()
    ledger = Ledger({wall.key: 70})
    ledger.may_answer.set()
    store = MemoryQuotas(ledger, wall=clock)
    quota = store.bind((wall,))
    async with running(store):
        assert await until_known(quota) == 30
        clock.at += 24 * 3600
        assert await until_known(quota) == 130


async def test_limits_need_no_balance() -> None:
    store = MemoryQuotas(Ledger({}), wall=Clock())
    await store.bind((requests(1),)).take(demand())
    assert store.failing() is None


async def test_without_balances_all_begins_at_nothing() -> None:
    quota = MemoryQuotas(wall=Clock()).bind((money(100, DAILY),))
    assert (await quota.take(demand(money=100))).money == 100


async def test_a_request_waits_for_a_moment() -> None:
    wall = money(100)
    ledger = Ledger({wall.key: 70})
    store = MemoryQuotas(ledger, wall=Clock())
    async with running(store):
        taking = asyncio.get_running_loop().create_task(store.bind((wall,)).take(demand(money=30)))
        await ledger.called.wait()
        ledger.may_answer.set()
        assert (await taking).money == 30
