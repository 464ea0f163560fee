"""A Redis store under the contract's clock: windows go by it, leases by the server's."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

from proxy.stores.redis.quotas import RedisQuotas


async def until_usable(store: RedisQuotas) -> None:
    """Return when the store can be asked."""
    async with asyncio.timeout(10):
        while store.failing() is not None:
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def running(store: RedisQuotas) -> AsyncIterator[RedisQuotas]:
    """The store at work."""
    task = asyncio.get_running_loop().create_task(store.run())
    try:
        await until_usable(store)
        yield store
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await store.close()


class DrivenRedis:
    """A store whose windows go by a clock that the test moves."""

    precision = 0.002

    def __init__(self, url: str, at: float) -> None:
        self._now = at
        self.store = RedisQuotas(url, prefix=uuid4().hex, deadline=5, clock=lambda: self._now)

    def forward(self, seconds: float) -> None:
        self._now += seconds

    def back(self, seconds: float) -> None:
        self._now -= seconds

    async def flush(self) -> None:
        await self.store.settled()
