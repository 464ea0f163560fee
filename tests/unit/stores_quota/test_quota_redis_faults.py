"""Redis killed, emptied, stopped; callers and workers that go: no leak, nothing counted twice."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest

from proxy.core.quota import Calendar, Demand, Grant, QuotaExceeded, QuotaUnknown, Rule
from proxy.stores.redis.quotas import RedisQuotas
from tests.fakes.redis import RedisServer, redis, redis_server
from tests.unit.stores_quota.quota_driven import demand, money, refused, slots, tokens
from tests.unit.stores_quota.quota_redis_driven import running, until_usable
from tests.unit.stores_quota.quota_redis_holder import WALLS

__all__ = ["redis", "redis_server"]

TOTAL = Calendar("total")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of this test's own, whose data outlives it."""
    with RedisServer(durable=True) as own:
        yield own


async def rest(store: RedisQuotas, one: Rule) -> int:
    """What a rule has left."""
    await store.settled()
    quota = store.bind((one,))
    try:
        grant = await quota.take(demand())
    except QuotaExceeded as error:
        return error.denial.level.remaining
    grant.cancel()
    return grant.levels()[0].remaining + (one.measure in {"requests", "concurrency"})


async def eventually(store: RedisQuotas, one: Rule, expected: int) -> None:
    """Return when a rule has so much left; statements arrive by themselves."""
    async with asyncio.timeout(10):
        while await rest(store, one) != expected:
            await asyncio.sleep(0.01)


async def until_down(store: RedisQuotas) -> None:
    async with asyncio.timeout(10):
        while store.failing() is None:
            await asyncio.sleep(0.002)


async def test_settled_while_redis_is_away(server: RedisServer) -> None:
    async with running(RedisQuotas(server.url, deadline=1)) as store:
        walls = (tokens(100), money(1000, TOTAL), slots(5))
        quota = store.bind(walls)
        before, during = [await quota.take(demand(tokens=10, money=100)) for _ in range(2)]
        before.settle(5, 50)
        await store.settled()
        server.kill()
        await until_down(store)
        during.settle(7, 70)
        during.settle(7, 70)
        with pytest.raises(QuotaUnknown):
            await quota.take(demand())
        assert await during.grow(10) == 0
        server.start()
        await until_usable(store)
        assert [await rest(store, wall) for wall in walls] == [88, 880, 5]


async def test_killed_with_everything_in_flight(server: RedisServer) -> None:
    """Whatever had been done when Redis died: a refused or lost take holds nothing in the end."""
    async with running(RedisQuotas(server.url, deadline=1)) as store:
        quota = store.bind((money(10**6, TOTAL), slots(10**6)))
        open_grants = [await quota.take(demand(money=10)) for _ in range(50)]
        takes = [asyncio.ensure_future(quota.take(demand(money=10))) for _ in range(50)]  # noqa: TID251
        await asyncio.sleep(0)
        for grant in open_grants:
            grant.settle(0, 3)
        server.kill()
        results = await asyncio.gather(*takes, return_exceptions=True)
        granted = [one for one in results if not isinstance(one, BaseException)]
        assert all(isinstance(one, QuotaUnknown) for one in results if one not in granted)
        server.start()
        await until_usable(store)
        for grant in granted:
            grant.settle(0, 4)
        spent = 50 * 3 + 4 * len(granted)
        assert await rest(store, money(10**6, TOTAL)) == 10**6 - spent
        assert await rest(store, slots(10**6)) == 10**6


async def test_scripts_forgotten(server: RedisServer) -> None:
    async with running(RedisQuotas(server.url, deadline=1)) as store:
        quota = store.bind((money(1000),))
        grant = await quota.take(demand(money=100))
        assert server.say("SCRIPT", "FLUSH") == "+OK"
        grants = await asyncio.gather(*(quota.take(demand(money=10)) for _ in range(20)))
        assert server.say("SCRIPT", "FLUSH") == "+OK"
        assert await grant.grow(100) == 100
        assert server.say("SCRIPT", "FLUSH") == "+OK"
        for each in (grant, *grants):
            each.settle(0, 1)
        assert await rest(store, money(1000)) == 979
        assert store.failing() is None


async def test_everything_forgotten(server: RedisServer) -> None:
    async with running(RedisQuotas(server.url, deadline=1)) as store:
        quota = store.bind((tokens(100), money(1000), slots(3)))
        grant = await quota.take(demand(tokens=50, money=500))
        assert server.say("FLUSHALL") == "+OK"
        other = await quota.take(demand(tokens=60, money=600))
        grant.settle(1, 1)
        grant.cancel()
        assert await rest(store, money(1000)) == 400
        other.settle(10, 100)
        assert [await rest(store, wall) for wall in quota.rules] == [90, 900, 3]


@pytest.mark.parametrize("how", ["SIGSTOP", "CLIENT PAUSE"])
async def test_a_server_that_hangs(server: RedisServer, how: str) -> None:
    """The caller is told within the deadline; what was taken afterwards is given back."""
    loop = asyncio.get_running_loop()
    async with running(RedisQuotas(server.url, deadline=0.05)) as store:
        quota = store.bind((money(1000, TOTAL), slots(3)))
        held = await quota.take(demand(money=100))
        if how == "SIGSTOP":
            server.signal(signal.SIGSTOP)
        else:
            assert server.say("CLIENT", "PAUSE", "400", "ALL") == "+OK"
        began = loop.time()
        asked = [quota.take(demand(money=100)) for _ in range(5)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(one, QuotaUnknown) for one in results)
        assert 0.04 <= loop.time() - began < 0.3
        assert store.failing() is not None
        began = loop.time()
        with pytest.raises(QuotaUnknown, match="in time"):
            await quota.take(demand(money=100))
        assert loop.time() - began < 0.02
        held.settle(0, 60)
        if how == "SIGSTOP":
            server.signal(signal.SIGCONT)
        await until_usable(store)
    async with running(RedisQuotas(server.url, deadline=1)) as other:
        await eventually(other, money(1000, TOTAL), 940)
        await eventually(other, slots(3), 3)


async def test_a_server_that_hangs_for_long_is_given_up(server: RedisServer) -> None:
    async with running(RedisQuotas(server.url, deadline=0.05)) as store:
        quota = store.bind((money(1000, TOTAL),))
        server.signal(signal.SIGSTOP)
        with pytest.raises(QuotaUnknown):
            await quota.take(demand(money=100))
        async with asyncio.timeout(5):
            while "said nothing" not in (store.failing() or ""):
                await asyncio.sleep(0.01)
        server.signal(signal.SIGCONT)
        await until_usable(store)
        await eventually(store, money(1000, TOTAL), 1000)


@pytest.mark.parametrize("turns", range(6))
async def test_the_caller_goes_at_any_moment(redis: str, turns: int) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=1)) as store:
        walls = (tokens(100), money(1000), slots(5))
        quota = store.bind(walls)
        grants: list[Grant] = []

        async def ask() -> None:
            grants.append(await quota.take(demand(tokens=10, money=100)))

        tasks = [asyncio.ensure_future(ask()) for _ in range(3)]  # noqa: TID251
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks:
            _ = task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for grant in grants:
            grant.cancel()
        for wall, full in zip(walls, (100, 1000, 5), strict=True):
            await eventually(store, wall, full)


async def test_the_caller_goes_in_the_turn_of_the_answer(redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=1)) as store:
        quota = store.bind((money(1000), slots(5)))
        tasks: list[asyncio.Future[Grant]] = []

        async def cancel_the_other() -> Grant:
            grant = await quota.take(demand(money=100))
            _ = tasks[1].cancel()
            return grant

        both = (cancel_the_other(), quota.take(demand(money=100)))
        tasks.extend(asyncio.ensure_future(each) for each in both)  # noqa: TID251
        await tasks[0]
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        await eventually(store, money(1000), 900)
        await eventually(store, slots(5), 4)


async def test_an_id_is_used_once(redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=1)) as store:
        quota = store.bind((money(1000),))
        grant = await quota.take(Demand("same", 0, 100, 100))
        with pytest.raises(QuotaUnknown, match="same was used before"):
            await quota.take(Demand("same", 0, 100, 100))
        assert await rest(store, money(1000)) == 900
        grant.cancel()
        assert await rest(store, money(1000)) == 1000


async def test_slots_outlive_the_lease_while_the_worker_lives(redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, lease=0.3, deadline=1)) as store:
        quota = store.bind((slots(1),))
        grant = await quota.take(demand())
        end = asyncio.get_running_loop().time() + 1.0
        while asyncio.get_running_loop().time() < end:
            await refused(quota)
            await asyncio.sleep(0.05)
        grant.settle(0, 0)
        await store.settled()
        (await quota.take(demand())).cancel()


async def killed_while_holding(url: str, prefix: str) -> str:
    """The id of what a worker held when it was killed."""
    name = uuid4().hex
    module = "tests.unit.stores_quota.quota_redis_holder"
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, url, prefix, "1", name, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    async with asyncio.timeout(20):
        assert await holder.stdout.readline() == b"held\n"
    holder.kill()
    _ = await holder.wait()
    return name


async def test_a_killed_worker_frees_its_slots_and_pays(redis: str) -> None:
    prefix = uuid4().hex
    name = await killed_while_holding(redis, prefix)
    async with running(RedisQuotas(redis, prefix=prefix, lease=1, deadline=1)) as store:
        assert await rest(store, WALLS[2]) == 400
        await eventually(store, WALLS[1], 2)
        assert [await rest(store, wall) for wall in WALLS] == [60, 2, 400]
        store.correct(name, 250)
        store.correct(name, 100)
        store.correct("another", 100)
        assert [await rest(store, wall) for wall in WALLS] == [60, 2, 750]


async def test_a_record_that_comes_before_its_settlement(redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=1)) as store:
        quota = store.bind((money(1000), tokens(100), slots(2)))
        grant = await quota.take(Demand("early", 50, 600, 600))
        store.correct("early", 250)
        assert await grant.grow(10) == 0
        grant.settle(20, 250)
        assert [await rest(store, wall) for wall in quota.rules] == [750, 80, 2]
        store.correct("early", 100)
        assert await rest(store, money(1000)) == 750
