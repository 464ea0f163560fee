"""The worker's side of limits and budgets: the stores that count, and the gate that asks them.

The stores live as long as the worker, so that a reload forgets nothing; the gate is built with each
runtime.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from proxy.build.order import BUILT
from proxy.build.walls import has_walls, rulebook
from proxy.config.settings import Settings
from proxy.core.gate import Gate, PriceList, Rulebook
from proxy.core.hold_book import HoldBook
from proxy.core.quota import Balances, QuotaStore, Rule
from proxy.limits.bundles import Bundles
from proxy.limits.gate import GateOptions, LimitsGate
from proxy.limits.queues import Queue, room_of_provider
from proxy.limits.waiting import WaitingRoom
from proxy.stores.memory.store import MemoryQuotas
from proxy.stores.memory.unshared import UnsharedQuotas

_AFTER_ADMISSION = {"prompts", "guardrails", "cache"}
"""Steps that may take long, or answer for nothing: with them no budget is held before."""


async def _all_known(_patience: float) -> None:
    """Where nothing has to be asked for."""


@dataclass(frozen=True, slots=True)
class Stores:
    """`shared`: what counts. `local`: the worker's own share, for when that is away. `room`: where
    requests wait for slots. `queues`: where they wait for providers. `known`: returns when all that
    is expected is known or cannot be, or after so many seconds."""

    shared: QuotaStore
    local: QuotaStore
    room: WaitingRoom = field(default_factory=WaitingRoom)
    queues: dict[str, WaitingRoom] = field(default_factory=dict)
    known: Callable[[float], Awaitable[None]] = _all_known

    def queue(self, provider: str) -> WaitingRoom:
        """Where requests wait for room in the limits of a provider."""
        return self.queues.setdefault(provider, room_of_provider())

    def queued(self) -> dict[str, int]:
        """How many wait, by provider."""
        return {name: room.waiting for name, room in self.queues.items()}

    def expect(self, rules: Iterable[Rule]) -> None:
        """Have what was spent of these budgets fetched before anybody asks."""
        for rule in rules:
            _ = self.shared.bind((rule,))

    def failing(self) -> str | None:
        """Why limits and budgets cannot be counted now, or None."""
        return self.shared.failing()

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
        from proxy.stores.redis.quotas import RedisQuotas  # noqa: PLC0415 - Most need no Redis.

        shared = RedisQuotas(settings.redis.reveal())
        return Stores(shared, local, known=shared.connected)
    if balances is None:
        return Stores(local, local)
    own = MemoryQuotas(balances)
    if settings.worker_count > 1:
        return Stores(UnsharedQuotas(own), local)
    return Stores(own, local, known=own.opened)


def gate(
    settings: Settings,
    stores: Stores,
    prices: PriceList,
    stored: Rulebook | None = None,
    book: HoldBook | None = None,
) -> Gate | None:
    """The gate of a runtime; None where nothing can be limited. `stored`: walls of the store.
    `book`: where holds outlive the worker."""
    if not has_walls(settings) and settings.store == "none":
        return None
    rules = rulebook(settings, stored)
    policy = settings.store_failure
    # What is written needs Redis where there are several workers; limits of the store may come all
    # the same, and then each worker has its share, so that none is passed.
    share = 1 if settings.redis is not None else settings.worker_count
    return LimitsGate(
        Bundles(stores.shared, rules, share),
        Bundles(stores.local, rules, share=settings.worker_count),
        prices,
        stores.room,
        GateOptions(
            policy.limits,
            policy.budgets,
            settings.budget_status,
            settings.max_queue,
            joined=_AFTER_ADMISSION.isdisjoint(BUILT),
        ),
        book=book,
        queues={
            name: Queue(stores.queue(name), each.queue)
            for name, each in settings.providers.items()
            if each.queue
        },
    )
