"""What was taken over counts: in the budgets of the next worker, and not against holds in Redis."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from proxy.build.balances import SpentBefore
from proxy.build.reconcile import Reconciler
from proxy.config.settings import Settings
from proxy.core.accounting import WORKER_DIED
from proxy.core.quota import Calendar, QuotaUnknown, Rule, Scope, Spent, Wanted
from proxy.stores.postgres.attempt_costs import PostgresAttempts
from proxy.stores.postgres.usage import PostgresUsage
from proxy.usage.holds_taken import holds_beside
from proxy.usage.holds_watch import watch_holds
from proxy.wire.record import AttemptRecord, Cost, Usage
from tests.fakes.postgres import empty_postgres, postgres, postgres_server, template
from tests.unit.stores.records import NOON, record
from tests.unit.usage_holds.held import Holding, recorded, request

__all__ = ["empty_postgres", "postgres", "postgres_server", "template"]

ALICE = Rule(Scope("key", "alice"), "budget per total", "money", 10**9, Calendar("total"))
RED = Rule(Scope("team", "red"), "budget per month", "money", 10**9, Calendar("month"))


def killed(spool: Path, *holds: int) -> None:
    worker = Holding(spool)
    for money in holds:
        _ = worker.hold(request(), money)
    worker.die()


async def test_the_next_worker_begins_with_what_the_last_one_held(tmp_path: Path) -> None:
    await asyncio.to_thread(killed, tmp_path / "spool", 300, 50)
    spent = SpentBefore(Settings(data_dir=tmp_path, store="embedded"), "worker-0")
    try:
        found = await spent.spent((Wanted(ALICE, None), Wanted(RED, None)))
    finally:
        await spent.close()
    assert list(found) == [Spent(350), Spent(350)]


async def test_what_cannot_be_taken_over_is_not_known(tmp_path: Path) -> None:
    await asyncio.to_thread(killed, tmp_path / "spool", 300)
    (tmp_path / "spool").write_bytes(b"in the way")
    spent = SpentBefore(Settings(data_dir=tmp_path, store="embedded"), "worker-0")
    try:
        with pytest.raises(QuotaUnknown):
            _ = await spent.spent((Wanted(ALICE, None),))
    finally:
        await spent.close()


async def test_control_takes_over_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    await asyncio.to_thread(killed, spool, 7)
    await asyncio.to_thread(spool.write_bytes, b"in the way")
    watching = asyncio.get_running_loop().create_task(watch_holds(spool))
    while "cannot be taken over" not in caplog.text:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(spool.unlink)
    while await asyncio.to_thread(lambda: list(holds_beside(spool).glob("*.holds"))):
        await asyncio.sleep(0.01)
    watching.cancel()
    assert [each.cost for each in await asyncio.to_thread(recorded, spool)] == [7]


class Holds:
    """Open holds in Redis; what is corrected is noted."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.corrected: dict[str, int] = {}

    async def unsettled(self, seconds: float) -> tuple[str, ...]:
        return self.ids

    def correct(self, id: str, money: int) -> None:
        self.corrected[id] = money


class Recorded:
    def __init__(self, costs: Mapping[str, tuple[int | None, ...] | None]) -> None:
        self._costs = costs
        self.asked = 0

    async def costs(self, requests: Sequence[str]) -> Mapping[str, tuple[int | None, ...] | None]:
        self.asked += 1
        return self._costs


async def test_a_record_that_was_made_of_holds_sets_none_of_them_right() -> None:
    ids = [f"req_{number:032x}" for number in range(2)]
    holds = Holds(f"{ids[0]}/1", f"{ids[0]}/3", f"{ids[1]}/1")
    recorded = Recorded({ids[0]: None, ids[1]: (5,)})
    reconciler = Reconciler(holds, recorded)
    assert await reconciler.look() == 1
    assert holds.corrected == {f"{ids[1]}/1": 5}
    assert await reconciler.look() == 0
    assert recorded.asked == 1


async def test_the_store_tells_made_records_from_others(postgres: str) -> None:
    ids = [f"req_{NOON // 1000:012x}{number:020x}" for number in range(2)]
    tries = (AttemptRecord("p", "m", 1, 2, usage=Usage(1), cost=Cost(total=77)),)
    store = PostgresUsage(postgres)
    try:
        rows = [
            record(1, id=ids[0], at=NOON, error=WORKER_DIED, outcome="failed", attempts=tries),
            record(2, id=ids[1], at=NOON, error="cut", outcome="failed", attempts=tries),
        ]
        assert await store.ship("s/1", 0, 10, rows) == 10
    finally:
        await store.close()
    found = await PostgresAttempts(lambda: postgres).costs(ids)
    assert found == {ids[0]: None, ids[1]: (77,)}
