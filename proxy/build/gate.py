"""The worker's side of limits and budgets: the stores that count, and the gate that asks them.

The stores live as long as the worker, so that a reload forgets nothing; the gate is built with each
runtime.
"""

import asyncio
from dataclasses import dataclass

from proxy.build.walls import has_walls, rulebook
from proxy.config.settings import Settings
from proxy.core.gate import Gate, PriceList
from proxy.core.quota import Balances, QuotaStore
from proxy.limits.bundles import Bundles
from proxy.limits.gate import GateOptions, LimitsGate
from proxy.limits.waiting import WaitingRoom
from proxy.stores.memory.store import MemoryQuotas
from proxy.stores.redis.quotas import RedisQuotas


@dataclass(frozen=True, slots=True)
class Stores:
    """`shared`: what counts. `local`: the worker's own share, for when that is away."""

    shared: QuotaStore
    local: QuotaStore

    async def run(self) -> None:
        """Do what the stores do beside the requests, for ever. Cancel it, then `close`."""
        async with asyncio.TaskGroup() as group:
            for store in {self.shared, self.local}:
                group.create_task(store.run())

    async def close(self) -> None:
        """Send what waits, and let go."""
        for store in {self.shared, self.local}:
            await store.close()


def stores(settings: Settings, balances: Balances | None = None) -> Stores:
    """The stores of a worker. `balances`: what was spent before it began, which only memory must
    be told."""
    local = MemoryQuotas()
    if settings.redis is not None:
        return Stores(RedisQuotas(settings.redis.reveal()), local)
    return Stores(MemoryQuotas(balances) if balances is not None else local, local)


def gate(settings: Settings, stores: Stores, prices: PriceList) -> Gate | None:
    """The gate of a runtime; None where nothing can be limited."""
    if not has_walls(settings) and settings.store == "none":
        return None
    book = rulebook(settings)
    policy = settings.store_failure
    return LimitsGate(
        Bundles(stores.shared, book),
        Bundles(stores.local, book, share=settings.worker_count),
        prices,
        WaitingRoom(settings.max_queue),
        GateOptions(policy.limits, policy.budgets, settings.budget_status),
    )
