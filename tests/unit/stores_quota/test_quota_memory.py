"""The memory store keeps the contract; what is its own: bounded memory."""

import asyncio

import pytest

from proxy.core.quota import Calendar, Rule, Scope
from proxy.stores.memory.store import MemoryQuotas
from tests.unit.stores_quota.quota_contract import QuotaContract
from tests.unit.stores_quota.quota_driven import (
    DAILY,
    MINUTE,
    WEDNESDAY_NOON,
    Driven,
    MakeStore,
    demand,
    left,
    money,
    refused,
    requests,
)


class DrivenMemory:
    """A memory store on clocks moved by hand."""

    precision = 0.0

    def __init__(self, at: float) -> None:
        self.at = at
        self.now = 5000.0
        self.store = MemoryQuotas(monotonic=lambda: self.now, wall=lambda: self.at)

    def forward(self, seconds: float) -> None:
        self.now += seconds
        self.at += seconds

    def back(self, seconds: float) -> None:
        self.now -= seconds
        self.at -= seconds

    async def flush(self) -> None:
        """Everything is counted at once."""


@pytest.fixture
def make_store() -> MakeStore:
    async def make(at: float = WEDNESDAY_NOON) -> Driven:
        return DrivenMemory(at)

    return make


class TestMemory(QuotaContract):
    """The memory store keeps the contract."""


def _walls(name: str) -> tuple[Rule, ...]:
    customer = Scope("customer", name)
    return (
        Rule(customer, "rpm", "requests", 2, MINUTE),
        Rule(customer, "tpm", "tokens", 100, MINUTE),
        Rule(customer, "concurrency", "concurrency", 2, None),
        Rule(customer, "daily", "money", 100, DAILY),
    )


def _sweep(driven: DrivenMemory) -> None:
    """Twice: slots must be seen unused since the last look."""
    for _ in range(2):
        driven.store.sweep(driven.store.accounts)


async def test_what_matters_no_more_is_forgotten() -> None:
    driven = DrivenMemory(WEDNESDAY_NOON)
    for name in range(50):
        grant = await driven.store.bind(_walls(str(name))).take(demand(tokens=5, money=50))
        grant.settle(5, 50)
    assert 150 <= driven.store.accounts <= 200
    _sweep(driven)
    assert driven.store.accounts == 150  # The slots are free.
    driven.forward(60)
    _sweep(driven)
    assert driven.store.accounts == 150
    driven.forward(61)
    _sweep(driven)
    assert driven.store.accounts == 50  # No minute has anything left.
    driven.forward(12 * 3600)
    _sweep(driven)
    assert driven.store.accounts == 0


async def test_new_names_push_old_ones_out() -> None:
    """Without anybody who sweeps."""
    driven = DrivenMemory(WEDNESDAY_NOON)
    for name in range(3000):
        (await driven.store.bind(_walls(str(name))[:3]).take(demand(tokens=5))).settle(5, 0)
        driven.forward(1)
    assert driven.store.accounts < 600


async def test_held_slots_are_kept() -> None:
    driven = DrivenMemory(WEDNESDAY_NOON)
    quota = driven.store.bind(_walls("a")[2:3])
    first, _ = [await quota.take(demand()) for _ in range(2)]
    driven.forward(10**6)
    _sweep(driven)
    await refused(driven.store.bind(_walls("a")[2:3]))
    first.settle(0, 0)
    _sweep(driven)
    assert driven.store.accounts == 1


async def test_an_old_quota_and_a_new_one_count_together() -> None:
    """The counts of a quota that was kept for long were forgotten meanwhile."""
    driven = DrivenMemory(WEDNESDAY_NOON)
    old = driven.store.bind(_walls("a"))
    (await old.take(demand(tokens=10, money=10))).settle(10, 10)
    driven.forward(2 * 86_400)
    _sweep(driven)
    assert driven.store.accounts == 0
    new = driven.store.bind(_walls("a"))
    for quota in (new, old):
        await quota.take(demand(tokens=10, money=40))
    denial = await refused(old, demand(money=30))
    assert denial.level.remaining in {0, 20}
    assert (await refused(new, demand())).level.rule.measure in {"requests", "concurrency"}
    assert driven.store.accounts == 4


async def test_a_late_end_of_what_was_forgotten_changes_nothing() -> None:
    driven = DrivenMemory(WEDNESDAY_NOON)
    walls = (*_walls("a")[:2], *_walls("a")[3:])
    quota = driven.store.bind(walls)
    late, later = [await quota.take(demand(tokens=10, money=10)) for _ in range(2)]
    driven.forward(2 * 86_400)
    _sweep(driven)
    await quota.take(demand(tokens=10, money=10))
    late.settle(90, 90)
    later.cancel()
    assert [await left(driven, wall) for wall in walls] == [1, 90, 90]


async def test_an_open_grant_of_nothing_settles_where_it_counts() -> None:
    driven = DrivenMemory(WEDNESDAY_NOON)
    walls = _walls("a")[1:2] + _walls("a")[3:]
    grant = await driven.store.bind(walls).take(demand())
    driven.forward(30)
    _sweep(driven)
    grant.settle(40, 70)
    assert [await left(driven, wall) for wall in walls] == [60, 30]


async def test_what_rolls_over_is_kept_until_it_expires() -> None:
    driven = DrivenMemory(WEDNESDAY_NOON)
    wall = money(100, Calendar("day", rollover=1.0, expires=2))
    await driven.store.bind((wall,)).take(demand(money=10))
    driven.forward(2 * 86_400)
    _sweep(driven)
    assert await left(driven, wall) == 290
    driven.forward(3 * 86_400)
    _sweep(driven)
    assert driven.store.accounts == 0


async def test_accounts_that_nobody_asked_are_forgotten() -> None:
    driven = DrivenMemory(WEDNESDAY_NOON)
    driven.store.bind((money(100, Calendar("total")),))
    driven.forward(3599)
    _sweep(driven)
    assert driven.store.accounts == 1
    driven.forward(1)
    _sweep(driven)
    assert driven.store.accounts == 0


async def test_a_refused_demand_leaves_no_slot_taken() -> None:
    driven = DrivenMemory(WEDNESDAY_NOON)
    quota = driven.store.bind(_walls("a"))
    for _ in range(5):
        await refused(quota, demand(tokens=101))
    assert [await left(driven, wall) for wall in _walls("a")] == [2, 100, 2, 100]


async def test_a_clock_put_back_opens_no_window_that_is_over() -> None:
    """Not even for those whose counts of it were forgotten."""
    driven = DrivenMemory(WEDNESDAY_NOON)
    driven.forward(12 * 3600 - 1)
    await driven.store.bind((money(100),)).take(demand(money=100))
    driven.forward(2)
    _sweep(driven)
    assert driven.store.accounts == 0
    driven.back(2)
    quota = driven.store.bind((money(100),))
    await quota.take(demand(money=100))
    driven.forward(2)
    await refused(quota, demand(money=1))


async def test_a_clock_put_back_moves_no_bucket_when_others_are_bound() -> None:
    driven = DrivenMemory(WEDNESDAY_NOON)
    quota = driven.store.bind((requests(2),))
    await quota.take(demand())
    driven.forward(50)
    await quota.take(demand())
    driven.back(30)
    driven.store.bind(_walls("other"))
    await refused(quota)
    driven.forward(30 + 12)
    await quota.take(demand())
    driven.forward(30)
    await refused(quota)


@pytest.mark.parametrize(
    "wrong",
    [
        Rule(Scope("key", "a"), "rpm", "requests", 1, DAILY),
        Rule(Scope("key", "a"), "money", "money", 1, MINUTE),
        Rule(Scope("key", "a"), "slots", "concurrency", 1, MINUTE),
        Rule(Scope("key", "a"), "tpm", "tokens", 1, None),
    ],
)
def test_what_cannot_be_counted_is_not_bound(wrong: Rule) -> None:
    with pytest.raises(ValueError, match="key:a:"):
        DrivenMemory(WEDNESDAY_NOON).store.bind((wrong,))


async def test_run_forgets_too() -> None:
    driven = DrivenMemory(WEDNESDAY_NOON)
    driven.store.bind(_walls("a")[:2])
    driven.forward(3600)
    running = asyncio.get_running_loop().create_task(driven.store.run())
    async with asyncio.timeout(5):
        while driven.store.accounts:
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await driven.store.close()
