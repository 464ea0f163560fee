"""Holds that nobody settled: found in Redis, set right by what is recorded, or left in full."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from uuid import uuid4

import pytest

from proxy.build.reconcile import Reconciler
from proxy.core.accounting import StoreAway
from proxy.core.quota import Calendar, Demand, QuotaStore, QuotaUnknown, Rule, Scope
from proxy.stores.postgres.attempt_costs import PostgresAttempts
from proxy.stores.postgres.usage import PostgresUsage
from proxy.stores.redis.quotas import RedisQuotas
from proxy.wire.record import AttemptRecord, Cost, Usage
from tests.fakes.postgres import empty_postgres, postgres, postgres_server, template
from tests.fakes.redis import redis, redis_server
from tests.unit.stores.records import NOON, record
from tests.unit.stores_quota.quota_redis_driven import running
from tests.unit.stores_quota.quota_redis_places import cluster

__all__ = ["empty_postgres", "postgres", "postgres_server", "redis", "redis_server", "template"]

WALL = Rule(Scope("key", "a"), "budget", "money", 1000, Calendar("total"))
OTHER = Rule(Scope("team", "t"), "budget", "money", 1000, Calendar("total"))


class Recorded:
    """Costs that a test knows; None: the store is away."""

    def __init__(self, **costs: tuple[int | None, ...]) -> None:
        self.costs_of: Mapping[str, tuple[int | None, ...]] | None = costs
        self.asked: list[str] = []

    async def costs(self, requests: Sequence[str]) -> Mapping[str, tuple[int | None, ...]]:
        self.asked += requests
        if self.costs_of is None:
            raise StoreAway("away")
        return {id: self.costs_of[id] for id in requests if id in self.costs_of}


def new_id(milliseconds: int = NOON // 1000) -> str:
    """As base/ids.py makes them."""
    return f"req_{milliseconds:012x}{uuid4().hex[:20]}"


async def hold(store: QuotaStore, id: str, money: int) -> None:
    """Hold it, and die."""
    _ = await store.bind((WALL, OTHER)).take(Demand(id, 0, money, money))


async def left(store: RedisQuotas) -> int:
    """What is left of the walls."""
    await store.settled()
    grant = await store.bind((WALL, OTHER)).take(Demand(uuid4().hex, 0, 0, 0))
    grant.cancel()
    await store.settled()
    one, other = grant.levels()
    assert one.remaining == other.remaining
    return one.remaining


async def test_a_record_sets_its_holds_right(redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=2)) as store:
        done, flying = new_id(), new_id()
        for id, money in ((f"{done}/1", 100), (f"{done}/2", 200), (f"{flying}/1", 300)):
            await hold(store, id, money)
        assert await left(store) == 400
        recorded = Recorded(**{done: (7, 150)})
        reconciler = Reconciler(store, recorded, old=0)
        assert await reconciler.look() == 2
        assert await left(store) == 1000 - 7 - 150 - 300
        assert sorted(await store.unsettled(0)) == [f"{flying}/1"]
        assert await reconciler.look() == 0
        recorded.costs_of = {flying: (0,)}
        assert await reconciler.look() == 1
        assert await left(store) == 1000 - 7 - 150


async def test_any_number_of_hosts_may_do_it_and_the_worker_too(redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=2)) as store:
        id = new_id()
        grant = await store.bind((WALL, OTHER)).take(Demand(f"{id}/1", 0, 500, 500))
        recorded = Recorded(**{id: (60,)})
        assert await Reconciler(store, recorded, old=0).look() == 1
        store.correct(f"{id}/1", 70)
        grant.settle(0, 60)
        assert await left(store) == 940
        assert await store.unsettled(0) == ()


async def test_what_has_no_price_stays_and_what_was_never_sent_is_given_back(redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=2)) as store:
        id = new_id()
        await hold(store, f"{id}/1", 100)
        await hold(store, f"{id}/2", 200)
        recorded = Recorded(**{id: (None,)})
        reconciler = Reconciler(store, recorded, old=0)
        assert await reconciler.look() == 1
        assert await left(store) == 900
        assert await reconciler.look() == 0
        assert recorded.asked == [id]  # Not asked for again.


async def test_young_settled_and_free_holds_are_not_looked_at(redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=2)) as store:
        quota = store.bind((WALL, OTHER))
        (await quota.take(Demand(f"{new_id()}/1", 0, 100, 100))).settle(0, 100)
        _ = await quota.take(Demand(f"{new_id()}/1", 0, 0, 0))
        await hold(store, f"{new_id()}/1", 100)
        await store.settled()
        assert await store.unsettled(60) == ()
        assert len(await store.unsettled(0)) == 1


async def test_ids_of_others_are_left_alone(redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=2)) as store:
        await hold(store, uuid4().hex, 100)
        recorded = Recorded()
        assert await Reconciler(store, recorded, old=0).look() == 0
        assert recorded.asked == []


async def test_many_holds_are_found(redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=5)) as store:
        ids = {f"{new_id()}/1" for _ in range(1000)}
        _ = await asyncio.gather(*(hold(store, id, 1) for id in ids))
        assert set(await store.unsettled(0)) == ids


async def test_stores_that_are_away_say_so(redis: str) -> None:
    nowhere = RedisQuotas("redis://127.0.0.1:1")
    with pytest.raises(QuotaUnknown):
        _ = await nowhere.unsettled(0)
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=2)) as store:
        recorded = Recorded()
        recorded.costs_of = None
        await hold(store, f"{new_id()}/1", 100)
        with pytest.raises(StoreAway):
            _ = await Reconciler(store, recorded, old=0).look()
    with pytest.raises(StoreAway):
        _ = await PostgresAttempts(lambda: None).costs([new_id()])


@pytest.fixture
def cluster_url() -> Iterator[str]:
    with cluster() as (first, second):
        yield f"redis+cluster://127.0.0.1:{first.port},127.0.0.1:{second.port}"


async def test_in_a_cluster_each_scope_is_set_right(cluster_url: str) -> None:
    async with running(RedisQuotas(cluster_url, prefix=uuid4().hex, deadline=2)) as store:
        id = new_id()
        await hold(store, f"{id}/1", 600)
        await store.settled()
        assert await store.unsettled(0) == (f"{id}/1",)
        reconciler = Reconciler(store, Recorded(**{id: (50,)}), old=0)
        assert await reconciler.look() == 1
        async with asyncio.timeout(5):
            while await left(store) != 950:
                await asyncio.sleep(0.01)
        assert await reconciler.look() == 0


async def test_costs_of_attempts_are_found_by_the_id_of_their_request(postgres: str) -> None:
    usage = Usage(input=5)
    tries = tuple(
        AttemptRecord("p", "m", 1, 2, usage=used, cost=cost)
        for used, cost in ((None, None), (usage, Cost(total=77)), (usage, None), (usage, Cost()))
    )
    early, late, unknown = new_id(), new_id(NOON // 1000 + 3_600_000), new_id()
    store = PostgresUsage(postgres)
    try:
        rows = [
            record(1, id=early, at=NOON + 2_000_000, attempts=tries),
            record(2, id=late, at=NOON + 3_600_000_000, attempts=()),
        ]
        assert await store.ship("s/1", 0, 10, rows) == 10
        found = await PostgresAttempts(lambda: postgres).costs([early, late, unknown])
    finally:
        await store.close()
    assert found == {early: (0, 77, None, 0), late: ()}


async def test_a_worker_waits_for_redis_but_not_for_ever(redis: str) -> None:
    loop = asyncio.get_running_loop()
    store = RedisQuotas(redis, prefix=uuid4().hex, deadline=2)
    work = loop.create_task(store.run())
    await store.connected(20)
    assert store.failing() is None
    work.cancel()
    _ = await asyncio.gather(work, return_exceptions=True)
    await store.close()
    began = loop.time()
    await RedisQuotas("redis://127.0.0.1:1").connected(0.05)
    assert 0.04 < loop.time() - began < 5
