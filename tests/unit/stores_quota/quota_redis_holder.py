"""A worker that takes, says so, and waits to be killed: `python -m … URL PREFIX LEASE ID`."""

import asyncio
import sys

from proxy.core.quota import Demand
from proxy.stores.redis.quotas import RedisQuotas
from tests.unit.stores_quota.quota_driven import money, slots, tokens
from tests.unit.stores_quota.quota_redis_driven import running

WALLS = (tokens(100), slots(2), money(1000))


async def hold(url: str, prefix: str, lease: float, name: str) -> None:
    """Hold some of everything, for ever."""
    async with running(RedisQuotas(url, prefix=prefix, lease=lease, deadline=5)) as store:
        _ = await store.bind(WALLS).take(Demand(name, 40, 600, 600))
        sys.stdout.write("held\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(hold(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]))
