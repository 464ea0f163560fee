"""Control's side of budgets in Redis: holds of dead workers are set right when their record comes.

A worker that is killed leaves its holds charged in full. Of a request that had ended its record is
in the spool, and so in the store some time later: then the hold becomes what the attempt cost. Of a
request that was under way a record is made that says what was held (usage/holds_taken.py): its hold
stays charged in full, for nobody knows what the vendor did.

A record is written when its request has ended, never before, so a hold whose request has one needs
no other sign of being left behind. If its worker lives after all (its settlement waits for Redis),
that finds the hold corrected and charges nothing twice. So any number of hosts may do this at once.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from proxy.base.tasks import Tasks
from proxy.config.settings import Settings
from proxy.core.accounting import StoreAway
from proxy.core.quota import OpenHolds, QuotaUnknown
from proxy.stores.postgres.attempt_costs import PostgresAttempts
from proxy.stores.redis.quotas import RedisQuotas

log = logging.getLogger("llm-proxy.reconcile")

_EVERY = 5.0
_OLD = 5.0
_DEADLINE = 2.0  # Of a call to Redis: nobody waits for it.
_MOST_KNOWN = 100_000

_HOLD = re.compile(r"(req_[0-9a-f]{32})/([1-9]\d{0,3})")


class AttemptCosts(Protocol):
    """What is recorded of attempts."""

    async def costs(self, requests: Sequence[str]) -> Mapping[str, tuple[int | None, ...] | None]:
        """By request, of those that have a record: nano-USD of each attempt in its order, None
        where something was used that has no price. None for a record that was made of the holds of
        a dead worker. Raises StoreAway."""


class Reconciler:
    """Sets holds right, again and again."""

    def __init__(self, holds: OpenHolds, recorded: AttemptCosts, *, old: float = _OLD) -> None:
        """`old`: seconds after which a hold is looked at."""
        self._holds = holds
        self._recorded = recorded
        self._old = old
        self._known: set[str] = set()
        self.corrected = 0

    async def run(self) -> None:
        """For ever; what is away is asked again the next time."""
        while True:
            await asyncio.sleep(_EVERY)
            try:
                done = await self.look()
            except (QuotaUnknown, StoreAway) as error:
                log.debug("holds cannot be looked at: %s", error)
                continue
            if done:
                log.info("%d holds of workers that died were set right", done)

    async def look(self) -> int:
        """Once. Returns how many were set right. Raises QuotaUnknown, StoreAway."""
        holds = {}
        for id in await self._holds.unsettled(self._old):
            if id not in self._known and (parts := _HOLD.fullmatch(id)) is not None:
                holds[id] = (parts[1], int(parts[2]))
        if not holds:
            return 0
        requests = sorted({request for request, _ in holds.values()})
        recorded = await self._recorded.costs(requests)
        before = self.corrected
        for id, (request, number) in holds.items():
            if request in recorded:
                self._correct(id, recorded[request], number)
        return self.corrected - before

    def _correct(self, id: str, costs: tuple[int | None, ...] | None, number: int) -> None:
        cost: int | None = 0  # One that was never sent.
        if costs is None:
            cost = None
        elif number <= len(costs):
            cost = costs[number - 1]
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(id)
        if cost is not None:  # Else all that was held is charged, as at the end of any request.
            self._holds.correct(id, cost)
            self.corrected += 1


class Reconciling:
    """A Reconciler with connections of its own."""

    def __init__(self, redis: str, address: Callable[[], str | None]) -> None:
        self._store = RedisQuotas(redis, deadline=_DEADLINE)
        self._reconciler = Reconciler(self._store, PostgresAttempts(address))
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin, in the background."""
        _ = self._tasks.spawn(self._store.run(), name="redis of the reconciler")
        _ = self._tasks.spawn(self._reconciler.run(), name="reconciler")

    async def stop(self) -> None:
        """End; what is not set right is so after the next start, here or elsewhere."""
        await self._tasks.cancel()
        await self._store.close()


def reconciling(settings: Settings, address: Callable[[], str | None]) -> Reconciling | None:
    """Where workers share a Redis and records are kept; None elsewhere: holds in memory end with
    their worker."""
    if settings.redis is None:
        return None
    return Reconciling(settings.redis.reveal(), address)
