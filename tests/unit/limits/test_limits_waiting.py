"""The room where requests wait for slots: bounded, fair between keys, and no wake is lost."""

import asyncio
from collections import Counter

import pytest

from proxy.core.quota import Demand, Grant, Quota, QuotaExceeded, Rule, Scope, Sliding
from proxy.limits.waiting import WaitingRoom
from proxy.stores.memory.store import MemoryQuotas

EVERYBODY = Scope("global", "")


def slots(limit: int, scope: Scope = EVERYBODY) -> Rule:
    return Rule(scope, "concurrency", "concurrency", limit, None)


class Desk:
    """A room, a store and requests that hold their slot until they are told."""

    def __init__(self, most: int = 100) -> None:
        self.room = WaitingRoom()
        self.store = MemoryQuotas()
        self.most = most
        self.served: list[str] = []

    def quota(self, *rules: Rule) -> Quota:
        return self.store.bind(rules)

    def ask(self, quota: Quota, key: str, id: str = "r") -> "asyncio.Task[Grant]":
        async def one() -> Grant:
            grant = await self.room.take(quota, Demand(id), key, self.most)
            self.served.append(key)
            return grant

        return asyncio.get_running_loop().create_task(one())

    def end(self, quota: Quota, grant: Grant) -> None:
        grant.settle(0, 0)
        self.room.freed(quota)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_keys_take_turns() -> None:
    desk = Desk()
    quota = desk.quota(slots(1))
    held = await desk.ask(quota, "first")
    many = [desk.ask(quota, "many") for _ in range(10)]
    await turns()
    few = [desk.ask(quota, "few") for _ in range(2)]
    await turns()
    assert desk.room.waiting == 12
    desk.served.clear()
    left = {*many, *few}
    while left:
        desk.end(quota, held)
        await turns()
        (now,) = [task for task in left if task.done()]
        left.remove(now)
        held = now.result()
    assert desk.served[:4] == ["many", "few", "many", "few"]
    assert Counter(desk.served) == {"many": 10, "few": 2}
    assert desk.room.waiting == 0
    assert not desk.room._halls


async def test_nobody_overtakes() -> None:
    desk = Desk()
    quota = desk.quota(slots(1))
    held = await desk.ask(quota, "a")
    waits = desk.ask(quota, "a")
    await turns()
    desk.end(quota, held)  # The one that waits is woken in the next turn of the loop.
    late = desk.ask(quota, "b")
    await turns()
    assert waits.done() and not late.done()
    desk.end(quota, await waits)
    await late


async def test_the_room_has_an_end() -> None:
    desk = Desk(most=1)
    quota = desk.quota(slots(1))
    held = await desk.ask(quota, "a")
    waits = desk.ask(quota, "a")
    await turns()
    with pytest.raises(QuotaExceeded):
        await desk.ask(quota, "a")
    desk.end(quota, held)
    await waits
    with pytest.raises(QuotaExceeded):
        await WaitingRoom().take(quota, Demand("r"), "a", 0)


async def test_other_limits_do_not_wait() -> None:
    desk = Desk()
    quota = desk.quota(Rule(EVERYBODY, "rpm", "requests", 1, Sliding(60)), slots(5))
    await desk.ask(quota, "a")
    with pytest.raises(QuotaExceeded):
        await desk.ask(quota, "a")
    with pytest.raises(QuotaExceeded):
        await desk.ask(desk.quota(slots(0, Scope("key", "none"))), "a")
    assert desk.room.waiting == 0


@pytest.mark.parametrize("when", ["waiting", "woken", "taken"])
async def test_who_goes_takes_nothing_along(when: str) -> None:
    desk = Desk()
    quota = desk.quota(slots(1))
    held = await desk.ask(quota, "a")
    goes, stays = desk.ask(quota, "a"), desk.ask(quota, "b")
    await turns()
    if when != "waiting":
        desk.end(quota, held)
    if when == "taken":
        await asyncio.sleep(0)
    goes.cancel()
    results = await asyncio.gather(goes, return_exceptions=True)
    if isinstance(results[0], BaseException):
        assert isinstance(results[0], asyncio.CancelledError)
        if when == "waiting":
            desk.end(quota, held)
    else:  # It was served before it could go: its slot ends like any other.
        desk.end(quota, results[0])
    desk.end(quota, await stays)
    assert desk.room.waiting == 0
    assert not desk.room._halls


async def test_a_wake_that_helps_one_not_is_passed_on() -> None:
    """Who also meets another limit that is full lets the next one have the slot."""
    desk = Desk()
    own = slots(1, Scope("key", "a"))
    both, shared = desk.quota(slots(2), own), desk.quota(slots(2))
    mine, other = await desk.ask(both, "a"), await desk.ask(shared, "b")
    blocked, free = desk.ask(both, "a"), desk.ask(shared, "c")
    await turns()
    desk.end(shared, other)
    await turns()
    assert free.done() and not blocked.done()
    desk.end(both, mine)
    await blocked


async def test_slots_that_end_elsewhere_are_found() -> None:
    desk = Desk()
    quota = desk.quota(slots(2))
    first, second = await desk.ask(quota, "a"), await desk.ask(quota, "a")
    waiting = [desk.ask(quota, "a"), desk.ask(quota, "b")]
    await turns()
    first.settle(0, 0)  # And nobody tells.
    second.settle(0, 0)
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)


async def test_random_lives_leave_nothing_behind() -> None:
    desk = Desk()
    quotas = [desk.quota(slots(2), slots(1, Scope("key", key))) for key in "abc"]
    served = 0

    async def live(number: int) -> None:
        nonlocal served
        quota = quotas[number % 3]
        grant = await desk.room.take(quota, Demand(str(number)), "abc"[number % 3], 100)
        await turns(number % 5)
        served += 1
        desk.end(quota, grant)

    tasks = [asyncio.get_running_loop().create_task(live(number)) for number in range(60)]
    for number in range(0, 60, 7):
        await turns(3)
        tasks[number].cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert served >= 50
    assert desk.room.waiting == 0
    assert not desk.room._halls
    for quota in quotas:
        (await quota.take(Demand("last"))).cancel()
