"""Open breakers through a real Redis: two workers hear of each other, deadlines never shrink."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.base.clock import monotonic
from proxy.base.tasks import Tasks
from proxy.core.policy import Breaker
from proxy.routing.health import Name
from proxy.routing.healths import Healths
from proxy.stores.redis.breakers import Heard, RedisBreakers
from tests.fakes.redis import RedisServer, redis, redis_server

__all__ = ["redis", "redis_server"]

NAME = Name("chat", "acme", "gpt")
EVERY = 0.02


class Worker:
    """What one worker hears."""

    def __init__(self, url: str, prefix: str) -> None:
        self.heard: Heard = {}
        self.news = asyncio.Event()
        self.breakers = RedisBreakers(url, self._hear, prefix=prefix, every=EVERY)

    async def next(self) -> Heard:
        """What it hears after now."""
        for _ in range(2):  # The first answer may have been on its way already.
            self.news.clear()
            async with asyncio.timeout(10):
                _ = await self.news.wait()
        return self.heard

    def _hear(self, heard: Heard) -> None:
        self.heard = heard
        self.news.set()


@asynccontextmanager
async def workers(url: str, number: int = 2) -> AsyncIterator[list[Worker]]:
    prefix = f"test-{secrets.token_hex(6)}"
    tasks = Tasks()
    made = [Worker(url, prefix) for _ in range(number)]
    for each in made:
        _ = tasks.spawn(each.breakers.run(), name="test: breakers")
    try:
        for each in made:
            assert await each.next() == {}
        yield made
    finally:
        await tasks.cancel()
        for each in made:
            await each.breakers.close()


async def test_what_opens_here_is_heard_there(redis: str) -> None:
    async with workers(redis) as (one, two):
        one.breakers.opened(b"name", 30.0, "5 failures in a row: cut")
        ((left, cause),) = (await two.next()).values()
        assert left == pytest.approx(30.0, abs=1.0)
        assert cause == "5 failures in a row: cut"
        two.breakers.closed(b"name")
        assert await one.next() == {}


async def test_a_deadline_is_never_replaced_by_an_earlier_one(redis: str) -> None:
    async with workers(redis) as (one, two):
        one.breakers.opened(b"name", 30.0, "long")
        two.breakers.opened(b"name", 5.0, "short")
        _ = await one.next()
        ((left, cause),) = (await one.next()).values()
        assert (round(left), cause) == (30, "long")
        two.breakers.opened(b"name", 60.0, "longer")
        _ = await one.next()
        ((left, cause),) = (await one.next()).values()
        assert (round(left), cause) == (60, "longer")


async def test_what_is_over_is_not_told(redis: str) -> None:
    async with workers(redis) as (one, two):
        one.breakers.opened(b"over", -1.0, "past")
        one.breakers.opened(b"old", -100.0, "long past")
        assert await two.next() == {}
        assert await one.next() == {}


async def test_health_of_one_worker_opens_that_of_another(redis: str) -> None:
    from proxy.build.sharing import SharedBreakers

    prefix = secrets.token_hex(6)
    tasks = Tasks()
    settings = Breaker(failures=2, recovery=30.0)
    one, two = Healths(), Healths()
    shares = [SharedBreakers(redis, each, prefix=prefix, every=EVERY) for each in (one, two)]
    for share in shares:
        _ = tasks.spawn(share.run(), name="test: breakers")
        await share.connected()
    here, there = one.of(*NAME, settings), two.of(*NAME, settings)
    try:
        for _ in range(2):
            here.end("timeout", here.begin())
        async with asyncio.timeout(10):
            while there.why_not(monotonic()) is None:
                await asyncio.sleep(EVERY)
        assert "timeout" in str(there.why_not(monotonic()))
        # It recovers there, and is tried here at once.
        there.breaker.try_now(monotonic())
        there.first_token(0.1, there.begin())
        assert there.why_not(monotonic()) is None
        await asyncio.sleep(3 * EVERY)
        assert there.why_not(monotonic()) is None
        assert here.breaker.state(monotonic()) == "open"  # It found out for itself.
    finally:
        await tasks.cancel()
        for share in shares:
            await share.close()


async def test_without_redis_nothing_is_heard_and_nothing_fails() -> None:
    with RedisServer() as server:
        async with workers(server.url) as (one, two):
            one.breakers.opened(b"name", 30.0, "cut")
            _ = await two.next()
            server.kill()
            two.news.clear()
            one.breakers.opened(b"other", 30.0, "cut")
            await asyncio.sleep(5 * EVERY)
            assert not two.news.is_set()
            server.start()
            heard: Heard = {}
            async with asyncio.timeout(15):
                while b"other" not in heard:  # It was told as soon as that was possible.
                    heard = await two.next()
