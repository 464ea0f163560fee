"""Redis in other shapes: by a socket, with a password, behind TLS, sentinel, and in a cluster."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
import trustme
import uvloop

from proxy.core.quota import Demand, QuotaUnknown, Scope
from proxy.stores.redis.cluster import slot_of
from proxy.stores.redis.quotas import RedisQuotas
from tests.fakes.redis import RedisServer
from tests.unit.stores_quota.quota_contract_grants import GrantsContract
from tests.unit.stores_quota.quota_contract_money import MoneyContract
from tests.unit.stores_quota.quota_driven import (
    WEDNESDAY_NOON,
    Driven,
    MakeStore,
    demand,
    money,
    refused,
    requests,
    slots,
    tokens,
)
from tests.unit.stores_quota.quota_redis_driven import DrivenRedis, running
from tests.unit.stores_quota.quota_redis_places import HALF, cluster, sentinel, tls_door


async def works(url: str) -> None:
    """The store at this URL counts."""
    async with running(RedisQuotas(url, prefix=uuid4().hex, deadline=2)) as store:
        quota = store.bind((requests(1),))
        _ = await quota.take(demand())
        _ = await refused(quota)


async def why_not(url: str) -> str:
    """What a store says that cannot work."""
    store = RedisQuotas(url)
    task = asyncio.ensure_future(store.run())  # noqa: TID251
    async with asyncio.timeout(10):
        while "not yet" in (reason := store.failing() or "") or "was found yet" in reason:
            await asyncio.sleep(0.002)
    with pytest.raises(QuotaUnknown):
        await store.bind((requests(1),)).take(demand())
    _ = task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await store.close()
    return reason


async def test_a_password_a_user_a_database_and_a_socket() -> None:
    with RedisServer() as server:
        assert server.say("ACL", "SETUSER", "proxy", "on", ">secret", "~*", "+@all") == "+OK"
        assert server.say("CONFIG", "SET", "requirepass", "other") == "+OK"
        place = f"127.0.0.1:{server.port}"
        await works(f"redis://proxy:secret@{place}/3")
        await works(f"redis://:other@{place}")
        await works(f"unix://:other@{server.socket}?db=2")
        assert "WRONGPASS" in await why_not(f"redis://proxy:wrong@{place}")
        assert "NOAUTH" in await why_not(f"redis://{place}")


def test_on_the_loop_of_a_worker() -> None:
    """uvloop's transports are not asyncio's."""
    with RedisServer() as server:
        uvloop.run(works(server.url))
        uvloop.run(works(f"unix://{server.socket}"))


async def test_nobody_there() -> None:
    with RedisServer() as server:
        place = f"redis://127.0.0.1:{server.port}"
    assert "cannot be used" in await why_not(place)


async def test_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with RedisServer() as server, authority.cert_pem.tempfile() as known:
        async with tls_door(server.port, context) as port:
            assert "CERTIFICATE_VERIFY_FAILED" in await why_not(f"rediss://localhost:{port}")
            monkeypatch.setenv("SSL_CERT_FILE", known)
            await works(f"rediss://localhost:{port}")


async def test_a_sentinel_names_the_primary() -> None:
    with RedisServer() as primary, RedisServer() as gone:
        gone.kill()
        with sentinel(primary, "ours") as port:
            hosts = f"127.0.0.1:{gone.port},127.0.0.1:{port}"
            await works(f"redis+sentinel://{hosts}/ours/1")
            assert "no service theirs" in await why_not(f"redis+sentinel://{hosts}/theirs")


async def test_a_replica_is_refused() -> None:
    with RedisServer() as primary, RedisServer() as replica:
        assert replica.say("REPLICAOF", "127.0.0.1", str(primary.port)) == "+OK"
        assert "it is a replica" in await why_not(replica.url)


async def test_a_primary_that_becomes_a_replica_is_left() -> None:
    with RedisServer() as server, RedisServer() as other:
        async with running(RedisQuotas(server.url, deadline=2)) as store:
            assert server.say("REPLICAOF", "127.0.0.1", str(other.port)) == "+OK"
            with pytest.raises(QuotaUnknown):
                await store.bind((requests(1),)).take(demand())
            async with asyncio.timeout(10):
                while "it is a replica" not in (store.failing() or ""):
                    await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[RedisServer, RedisServer]]:
    with cluster() as servers:
        yield servers


def address(two: tuple[RedisServer, RedisServer]) -> str:
    return f"redis+cluster://127.0.0.1:{two[0].port}"


def team(low: bool) -> Scope:
    """A team that is counted below HALF, or above."""
    names = (f"team-{i}" for i in range(100))
    return next(Scope("team", n) for n in names if (slot_of(f"team:{n}") < HALF) is low)


async def test_a_cluster_has_its_own_url(two: tuple[RedisServer, RedisServer]) -> None:
    assert "redis+cluster://" in await why_not(two[0].url)


async def test_several_places_grant_all_or_nothing(two: tuple[RedisServer, RedisServer]) -> None:
    prefix = uuid4().hex
    async with running(RedisQuotas(address(two), prefix=prefix, deadline=2)) as store:
        here, there = money(1000, scope=team(True)), money(300, scope=team(False))
        both = store.bind((here, tokens(100), there, slots(2)))
        grant = await both.take(Demand("first", 10, 500, 300))
        assert grant.money == 300
        assert [level.rule for level in grant.levels()] == list(both.rules)
        await store.settled()
        assert (await store.bind((here,)).take(demand())).levels()[0].remaining == 700
        assert (await refused(both, demand(money=1))).level.rule == there
        await store.settled()
        assert (await store.bind((here,)).take(demand())).levels()[0].remaining == 700
        grant.settle(5, 100)
        await store.settled()
        later = await both.take(Demand("second", 0, 150, 150))
        assert [level.remaining for level in later.levels()] == [750, 95, 50, 1]
        assert await later.grow(1000) == 50
        await store.settled()
        assert (await store.bind((here,)).take(demand())).levels()[0].remaining == 700
        store.correct("first", 1)
        store.correct("second", 20)
        await store.settled()
        await store.settled()
        assert (await store.bind((here,)).take(demand())).levels()[0].remaining == 880
        assert (await store.bind((there,)).take(demand())).levels()[0].remaining == 180


async def test_a_slot_that_moves(two: tuple[RedisServer, RedisServer]) -> None:
    """What was settled before the worker heard of it goes to the new owner."""
    scope = team(False)
    slot = str(slot_of(f"team:{scope.name}"))
    async with running(RedisQuotas(address(two), prefix=uuid4().hex, deadline=2)) as store:
        wall = money(1000, scope=scope)
        quota = store.bind((wall,))
        identity = [server.body("CLUSTER", "MYID") for server in two]
        _ = two[1].say("FLUSHALL")
        try:
            for server in two:
                assert server.say("CLUSTER", "SETSLOT", slot, "NODE", identity[0]) == "+OK"
            grant = await quota.take(demand(money=100))
            grant.settle(0, 40)
            await store.settled()
            assert (await quota.take(demand())).levels()[0].remaining == 960
        finally:
            _ = two[0].say("FLUSHALL")
            for server in two:
                assert server.say("CLUSTER", "SETSLOT", slot, "NODE", identity[1]) == "+OK"


@pytest.fixture
async def make_store(two: tuple[RedisServer, RedisServer]) -> AsyncIterator[MakeStore]:
    """Makes stores in the cluster."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(at: float = WEDNESDAY_NOON) -> Driven:
            driven = DrivenRedis(address(two), at)
            _ = await stack.enter_async_context(running(driven.store))
            return driven

        yield make


class TestCluster(GrantsContract, MoneyContract):
    """A cluster keeps the contract, where several scopes have a part in it."""
