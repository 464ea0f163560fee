"""When the books are looked at, and what is kept: each threshold once, by whoever has an entry."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from proxy.alerts.watch import LookPace, Shipping, Watch
from proxy.base.jsonio import loads
from proxy.core.alerts import StoredBudgets, WatchedBudget
from proxy.core.quota import Scope
from tests.unit.alerts.alert_cases import (
    DAY,
    EACH,
    MIDNIGHT,
    NOON,
    TEAM,
    USD,
    BooksInMemory,
    told,
)

QUICK = LookPace(look=0.01, idle=60.0, rest=0.0)


class Desk:
    """A watch, its clock and its books."""

    def __init__(self, *budgets: WatchedBudget, stored: tuple[WatchedBudget, ...] = ()) -> None:
        self.books = BooksInMemory()
        self.now = NOON
        self.shipping: Shipping | None = Shipping(0, 0.0)
        self.stored = stored
        self.watch = Watch(
            self.books, lambda: self.shipping, lambda _: self.stored, lambda: self.now, QUICK
        )
        self.sends = asyncio.Semaphore(0)
        self.watch.apply(budgets, [], ["r1", "r2"])

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(self.watch.run(self.sends.release))
        try:
            async with asyncio.timeout(5):
                yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_each_threshold_is_kept_once() -> None:
    desk = Desk(TEAM)
    desk.books.spend(TEAM.scope, 5 * USD)
    assert await desk.watch.look() == 1
    assert await desk.watch.look() == 0
    desk.books.spend(TEAM.scope, 9 * USD)
    assert await desk.watch.look() == 1
    assert told(desk.books.kept) == [("search", 50), ("search", 80)]
    assert desk.books.receivers == [["r1", "r2"]] * 2
    asked = len(desk.books.asked)
    await desk.watch.look()
    assert [each.window.start for each in desk.books.asked[asked:]] == []  # Nothing is open.
    assert desk.watch.kept == 2


async def test_the_next_window_is_another_matter() -> None:
    desk = Desk(TEAM)
    desk.books.spend(TEAM.scope, 5 * USD)
    await desk.watch.look()
    desk.now += DAY
    desk.books.spend(TEAM.scope, 6 * USD, MIDNIGHT + DAY)
    await desk.watch.look()
    assert [each.window.start for each in desk.books.kept] == [MIDNIGHT, MIDNIGHT + DAY]
    assert len({each.id for each in desk.books.kept}) == 2


async def test_records_that_come_late_count_in_their_window() -> None:
    desk = Desk(TEAM)
    await desk.watch.look()
    desk.now = MIDNIGHT + 2 * DAY + 100  # Two nights, and nothing was looked at.
    desk.shipping = Shipping(5, 1.5 * DAY)
    desk.books.spend(TEAM.scope, 5 * USD)
    desk.books.spend(TEAM.scope, 8 * USD, MIDNIGHT + DAY)
    await desk.watch.look()
    assert sorted((each.window.start, each.percent) for each in desk.books.kept) == [
        (MIDNIGHT, 50), (MIDNIGHT + DAY, 50), (MIDNIGHT + DAY, 80),
    ]  # fmt: skip


async def test_a_lag_is_remembered_until_there_was_a_look() -> None:
    desk = Desk(TEAM)
    async with desk.running():
        while desk.books.looks == 0:
            await asyncio.sleep(0.01)
        desk.books.away = True
        desk.now += DAY
        desk.shipping = Shipping(1, 0.9 * DAY)
        looks = desk.books.looks
        while desk.books.looks == looks:
            await asyncio.sleep(0.01)
        desk.shipping = Shipping(2, 0.0)  # All of it came while nobody could look.
        desk.books.spend(TEAM.scope, 5 * USD)
        desk.books.away = False
        await desk.sends.acquire()
    assert [each.window.start for each in desk.books.kept] == [MIDNIGHT]


async def test_a_star_leaves_out_who_has_an_entry() -> None:
    desk = Desk(EACH)
    desk.watch.apply([EACH], [Scope("team", "ours"), EACH.scope], ["r"])
    desk.books.entries = {Scope("team", "stored")}
    for name in ("ours", "stored", "free"):
        desk.books.spend(Scope("team", name), 5 * USD)
    await desk.watch.look()
    assert told(desk.books.kept) == [("free", 50)]


async def test_the_configuration_comes_before_the_store() -> None:
    other = replace(TEAM, percents=(10,))
    desk = Desk(TEAM, stored=(other, replace(EACH, percents=(10,))))
    desk.books.spend(TEAM.scope, USD)
    desk.watch.apply([TEAM], [TEAM.scope, EACH.scope], ["r"])
    await desk.watch.look()
    assert desk.books.kept == []
    desk.watch.apply([], [], ["r"])
    desk.books.entries = {TEAM.scope}
    await desk.watch.look()
    assert told(desk.books.kept) == [("search", 10)]


async def test_documents_are_read_again_when_they_changed() -> None:
    desk = Desk()
    desk.books.spend(TEAM.scope, 5 * USD)
    await desk.watch.look()
    desk.stored = (TEAM,)
    await desk.watch.look()
    assert desk.books.kept == []
    desk.books.stored = StoredBudgets(7, (), ())
    await desk.watch.look()
    assert told(desk.books.kept) == [("search", 50)]


async def test_a_key_and_its_models() -> None:
    scope = Scope("key_model", "k/gpt-*")
    desk = Desk(replace(TEAM, scope=scope, of_key=("k", "gpt-*")))
    desk.books.by_model = {"gpt-4o": 3 * USD, "gpt-5": 2 * USD, "claude": 90 * USD}
    await desk.watch.look()
    [alert] = desk.books.kept
    assert (alert.scope, alert.percent) == (scope, 50)
    assert loads(alert.body)["data"]["spent"] == "5"


async def test_it_looks_when_something_was_shipped_and_not_before() -> None:
    desk = Desk(TEAM)
    desk.shipping = None
    async with desk.running():
        await asyncio.sleep(0.05)
        assert desk.books.looks == 0  # There is no store.
        desk.shipping = Shipping(0, 0.0)
        while desk.books.looks == 0:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert desk.books.looks == 1
        desk.books.spend(TEAM.scope, 5 * USD)
        desk.shipping = Shipping(1, 0.0)
        await desk.sends.acquire()
        desk.watch.apply([TEAM], [], ["r"])
        while desk.books.looks < 3:
            await asyncio.sleep(0.01)


async def test_while_the_store_is_away_it_tries_again() -> None:
    desk = Desk(TEAM)
    desk.books.away = True
    desk.books.spend(TEAM.scope, 5 * USD)
    async with desk.running():
        while desk.books.looks < 2:
            await asyncio.sleep(0.01)
        desk.books.away = False
        await desk.sends.acquire()
    assert told(desk.books.kept) == [("search", 50)]
