"""What shares a command: two demands of one request, and settlements of one turn of the loop."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from proxy.core.quota import (
    Calendar,
    Demand,
    JoinedQuota,
    Quota,
    QuotaUnknown,
    Rule,
    Scope,
    standing_of,
)
from proxy.stores.redis.dial import ask
from proxy.stores.redis.quotas import RedisQuotas
from tests.fakes.redis import RedisServer, redis, redis_server
from tests.unit.stores_quota.quota_driven import (
    MINUTE,
    demand,
    money,
    refused,
    requests,
    rule,
    slots,
    tokens,
)
from tests.unit.stores_quota.quota_redis_driven import running, until_usable

__all__ = ["redis", "redis_server"]

DAY = Calendar("day")
TEAM = Scope("team", "t")
LARGE = 10**18


@pytest.fixture
async def store(redis: str) -> AsyncIterator[RedisQuotas]:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=5)) as found:
        yield found


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as own:
        yield own


def joined(store: RedisQuotas, *rules: Rule) -> JoinedQuota:
    quota = store.bind(rules)
    assert isinstance(quota, JoinedQuota)
    return quota


async def left(quota: Quota) -> list[int]:
    grant = await quota.take(demand())
    found = [level.remaining for level in grant.levels()]
    grant.cancel()
    return found


async def test_both(store: RedisQuotas) -> None:
    limits = joined(store, requests(5), tokens(100))
    budgets = store.bind(
        (money(1000, DAY), rule("requests", 7, MINUTE, scope=Scope("provider", "p")))
    )
    both = await limits.take_both(
        Demand(uuid4().hex, 30), budgets, Demand(uuid4().hex, 0, 400, 400)
    )
    assert both is not None
    for grant, remaining in zip(both, ([4, 70], [600, 6]), strict=True):
        assert [level.remaining for level in grant.levels()] == remaining
        assert grant.standing() == standing_of(grant.levels())
    one, other = both
    assert (one.money, other.money) == (0, 400)
    one.settle(10, 0)
    other.settle(0, 150)
    assert await left(limits) == [3, 90]
    assert await left(budgets) == [850, 5]


async def test_neither(store: RedisQuotas) -> None:
    limits = joined(store, requests(5))
    budgets = store.bind((money(1000, DAY),))
    one, other = uuid4().hex, uuid4().hex
    dear, cheap = Demand(other, 0, 1001, 1001), Demand(other, 0, 1, 1)
    assert await limits.take_both(Demand(one), budgets, dear) is None
    assert await left(limits) == [4]
    assert await limits.take_both(Demand(one), budgets, cheap) is not None  # The ids are free.
    none = joined(store, rule("requests", 0, MINUTE, scope=TEAM))
    again = Demand(uuid4().hex, 0, 5, 5)
    assert await none.take_both(demand(), budgets, again) is None
    assert await left(budgets) == [999]


async def test_an_id_that_was_used(store: RedisQuotas) -> None:
    limits, budgets = joined(store, requests(5)), store.bind((money(1000, DAY),))
    used = Demand(uuid4().hex, 0, 1, 1)
    await budgets.take(used)
    fresh = demand()
    assert await limits.take_both(fresh, budgets, used) is None
    await limits.take(fresh)


async def test_not_with_another_store(store: RedisQuotas, redis: str) -> None:
    async with running(RedisQuotas(redis, prefix=uuid4().hex, deadline=5)) as another:
        budgets = another.bind((money(1000, DAY),))
        assert await joined(store, requests(5)).take_both(demand(), budgets, demand()) is None


async def test_who_has_gone_takes_nothing(store: RedisQuotas) -> None:
    limits, budgets = joined(store, requests(5), slots(2)), store.bind((money(1000, DAY),))
    asked = limits.take_both(demand(), budgets, Demand(uuid4().hex, 0, 400, 400))
    task = asyncio.get_running_loop().create_task(asked)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.settled()
    await store.settled()
    assert await left(limits) == [4, 1]
    assert await left(budgets) == [1000]


async def test_a_lost_connection_leaves_nothing_taken(store: RedisQuotas) -> None:
    limits, budgets = joined(store, requests(5)), store.bind((money(1000, DAY),))
    asked = limits.take_both(demand(), budgets, Demand(uuid4().hex, 0, 400, 400))
    task = asyncio.get_running_loop().create_task(asked)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    link = store.node.link
    assert link is not None
    link.close("the test says so")
    with pytest.raises(QuotaUnknown):
        await task
    await until_usable(store)
    await store.settled()
    assert await left(limits) == [4]
    assert await left(budgets) == [1000]


@pytest.mark.parametrize("limit", [2**53 - 1, 2**53, LARGE])
async def test_what_is_left_of_much_money(store: RedisQuotas, limit: int) -> None:
    quota = store.bind(
        (money(limit, DAY), requests(3), rule("requests", 0, MINUTE, scope=TEAM, hard=False))
    )
    grant = await quota.take(Demand(uuid4().hex, 0, 401, 401))
    assert grant.standing() == standing_of(grant.levels())
    assert grant.standing()[2] == limit - 401


async def test_many_settlements_are_one_command(store: RedisQuotas) -> None:
    quota = store.bind((money(LARGE, DAY), slots(500)))
    grants = await asyncio.gather(*(quota.take(Demand(uuid4().hex, 0, 9, 9)) for _ in range(150)))
    link = store.node.link
    assert link is not None
    await store.settled()
    before = len(link)
    for number, grant in enumerate(grants):
        grant.settle(0, number)
    link.flush()
    assert len(link) - before == 3  # At most 64 at a time.
    assert await left(quota) == [LARGE - sum(range(150)), 499]


async def test_who_asks_in_the_same_turn_finds_what_was_given_back(store: RedisQuotas) -> None:
    quota = store.bind((slots(1),))
    held = await quota.take(demand())
    asked = asyncio.get_running_loop().create_task(quota.take(demand()))
    await asyncio.sleep(0)  # It is asked already, and not written yet.
    held.settle(0, 0)
    await asked


async def test_a_server_without_scripts_is_told_each(store: RedisQuotas) -> None:
    quota = store.bind((money(1000, DAY), slots(5)))
    grants = [await quota.take(Demand(uuid4().hex, 0, 100, 100)) for _ in range(3)]
    await flush_scripts(store)
    for grant in grants:
        grant.settle(0, 10)
    await store.settled()
    await store.settled()
    assert await left(quota) == [970, 4]
    await flush_scripts(store)
    limits = joined(store, requests(5))
    assert await limits.take_both(demand(), quota, demand()) is None  # Each alone is asked again.
    assert await left(limits) == [4]


async def test_one_that_cannot_be_settled_keeps_no_other(store: RedisQuotas) -> None:
    quota = store.bind((money(1000, DAY),))
    broken = store.bind((rule("concurrency", 3, scope=TEAM),))
    good, bad = await quota.take(Demand(uuid4().hex, 0, 100, 100)), await broken.take(demand())
    await plain(store, "DEL", f"{store._prefix}:{{team:t}}:concurrency")
    await plain(store, "SET", f"{store._prefix}:{{team:t}}:concurrency", "no set")
    bad.settle(0, 0)
    good.settle(0, 10)
    await store.settled()
    await store.settled()
    await until_usable(store)
    assert await left(quota) == [990]


async def test_settlements_wait_for_the_server(server: RedisServer) -> None:
    async with running(RedisQuotas(server.url, prefix=uuid4().hex, deadline=2)) as store:
        quota = store.bind((money(1000, DAY),))
        grants = [await quota.take(Demand(uuid4().hex, 0, 100, 100)) for _ in range(3)]
        link = store.node.link
        assert link is not None
        for grant in grants[:2]:
            grant.settle(0, 10)  # Told in this turn, and lost with the connection.
        link.close("the test says so")
        grants[2].settle(0, 10)
        await until_usable(store)
        await store.settled()
        assert (await refused(quota, Demand(uuid4().hex, 0, 971, 971))).level.remaining == 970


async def plain(store: RedisQuotas, *words: str) -> None:
    link = store.node.link
    assert link is not None
    await ask(link, *(word.encode() for word in words))


async def flush_scripts(store: RedisQuotas) -> None:
    await plain(store, "SCRIPT", "FLUSH")
