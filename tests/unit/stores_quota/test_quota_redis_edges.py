"""Where Lua's numbers end, names that mean something to Redis, addresses, and a lost clock."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest

from proxy.core.quota import Calendar, Demand, Rule, Scope, Sliding
from proxy.stores.redis.address import BadAddress, Endpoint, parse
from proxy.stores.redis.cluster import slot_of
from proxy.stores.redis.packing import MOST, MOST_MONEY, Packing, tag
from proxy.stores.redis.quotas import RedisQuotas
from tests.fakes.redis import RedisServer, redis, redis_server
from tests.unit.stores_quota.quota_driven import demand, money, refused, requests, tokens
from tests.unit.stores_quota.quota_redis_driven import running

__all__ = ["redis", "redis_server"]

TOTAL = Calendar("total")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as own:
        yield own


@pytest.mark.parametrize("limit", [MOST - 1, MOST, MOST + 1, MOST + 2, 10**18 - 1, 10**18 + 1])
async def test_money_is_exact_beyond_lua(redis: str, limit: int) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=2)) as store:
        wall = money(limit, TOTAL)
        quota = store.bind((wall,))
        first = await quota.take(demand(money=1001))
        await first.grow(0)
        first.settle(0, (limit - 5000) % MOST)
        for _ in range((limit - 5000) // MOST):
            (await quota.take(demand())).settle(0, MOST)
        await store.settled()
        second = await quota.take(demand(money=4999))
        assert second.levels()[0].remaining == 1
        denial = await refused(quota, demand(money=2))
        assert denial.level.remaining == 1
        assert (await quota.take(demand(money=1))).money == 1
        assert (await quota.take(demand(money=1, least=0))).money == 0
        second.settle(0, 4998)
        await store.settled()
        assert (await quota.take(demand(money=3, least=1))).money == 1


async def test_one_hold_is_as_large_as_lua_allows(redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=2)) as store:
        quota = store.bind((money(10**18, TOTAL), tokens(10**18)))
        grant = await quota.take(Demand(uuid4().hex, 10**18, 10**18, 10**18))
        assert grant.money == MOST
        assert await grant.grow(5) == 0
        assert grant.levels()[0].remaining == 10**18 - MOST


def test_limits_that_cannot_be_kept_are_refused() -> None:
    for wall, said in (
        (money(MOST_MONEY + 1), "4,000,000,000 dollars"),
        (money(MOST + 1, Calendar("day", rollover=0.5)), "9,007,199 dollars"),
        (requests(-1), "negative"),
    ):
        with pytest.raises(ValueError, match=said):
            _ = Packing((wall,), "p", 30)
    with pytest.raises(TypeError, match="calendar"):
        _ = Packing((Rule(Scope("key", "a"), "m", "money", 5, Sliding(60)),), "p", 30)


@pytest.mark.parametrize("name", ["", "}{", "a b\r\n", "ключ", "x/y:z%", "*"])
async def test_any_name_counts_apart(redis: str, name: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=2)) as store:
        one, other = (Rule(Scope("tag", n), "rpm", "requests", 1, Sliding(60)) for n in (name, "o"))
        _ = await store.bind((one, other)).take(Demand(f"{name} {uuid4().hex}"))
        assert (await refused(store.bind((one,)))).level.remaining == 0


def test_what_shares_a_slot() -> None:
    assert tag(Scope("key_model", "ann/gpt")) == tag(Scope("key", "ann")) == "key:ann"
    assert tag(Scope("team", "a}b")) == "team:a%7Db"
    assert slot_of("123456789") == 0x31C3  # From the specification of Redis Cluster.


async def test_the_servers_clock_counts(server: RedisServer) -> None:
    """A worker whose idea of the time is days off asks again, and is right."""
    async with running(RedisQuotas(server.url, deadline=2)) as store:
        quota = store.bind((money(100, Calendar("day")), requests(5)))
        grant = await quota.take(demand(money=10))
        for days, left in ((-40, 80), (3, 70)):
            store.node.clock_ahead += 86_400 * days
            level = (await quota.take(demand(money=10))).levels()[0]
            assert level.remaining == left
            assert abs(level.reset - grant.levels()[0].reset) < 5


async def test_what_is_forgotten_is_forgotten(server: RedisServer) -> None:
    """Every key ends by itself, but those of budgets for all time."""
    walls = (tokens(10), requests(5), money(100), money(100, TOTAL))
    async with running(RedisQuotas(server.url, prefix="p", deadline=2)) as store:
        _ = await store.bind(walls).take(demand(tokens=1, money=1))
        await store.bind((requests(5),)).take(demand())
        script = (
            "local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do "
            "if redis.call('TTL', k) < 0 then n = n + 1 end end return n"
        )
        assert server.say("EVAL", script, "0") == ":1"


async def test_many_settlements_leave_nothing(server: RedisServer) -> None:
    async with running(RedisQuotas(server.url, deadline=2)) as store:
        quota = store.bind((money(10**6), tokens(10**6)))
        grants = await asyncio.gather(*(quota.take(demand(5, 5)) for _ in range(300)))
        for grant in grants:
            grant.settle(1, 1)
        await store.settled()
        assert server.say("DBSIZE") == ":2"


def test_addresses() -> None:
    assert parse("redis://h").endpoints == (Endpoint("h", 6379),)
    assert parse("rediss://u:p%40@[::1]:7/2").endpoints == (Endpoint("::1", 7),)
    full = parse("rediss://u:p%40@h:7/2")
    assert (full.tls, full.user, full.password.reveal(), full.database) == (True, "u", "p@", 2)
    assert "p@" not in repr(full)
    guarded = parse("rediss+sentinel://:pw@a,b:5/ours/1")
    assert guarded.endpoints == (Endpoint("a", 26379), Endpoint("b", 5))
    assert (guarded.kind, guarded.service, guarded.database) == ("sentinel", "ours", 1)
    assert parse("redis+cluster://a:1,b:2").kind == "cluster"
    assert parse("unix:///run/r.sock?db=4").database == 4


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://h", "not http://"),
        ("redis://h/x", "`/x`|`x`"),
        ("redis://:secret@h:port", "host:port"),
        ("redis://a,b", "sentinel"),
        ("redis+sentinel://a", "service"),
        ("redis+cluster://a/1", "database 0"),
        ("unix://", "path"),
        ("", "begins with"),
    ],
)
def test_bad_addresses_say_why(url: str, said: str) -> None:
    with pytest.raises(BadAddress, match=said) as caught:
        _ = parse(url)
    assert "secret" not in str(caught.value)
