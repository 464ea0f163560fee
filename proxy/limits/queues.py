"""Queues before providers: where requests wait for room in a provider's own limits.

Without one the next target is tried at once. A request waits as long as a connection may take, and
no longer than all its tries may. Budgets are not waited for: nobody knows when there will be money.
A try beside another that is under way (a hedge) does not wait: the first may answer meanwhile.
"""

from collections.abc import Mapping
from typing import NamedTuple

from proxy.base.clock import monotonic
from proxy.core.exchange import Exchange
from proxy.core.policy import USUAL
from proxy.core.quota import Demand, Grant, Quota, Rule
from proxy.core.target import Provider
from proxy.limits.waiting import WaitingRoom


class Queue(NamedTuple):
    """That of one provider: so many requests of this worker at most."""

    room: WaitingRoom
    most: int

    async def take(self, x: Exchange, provider: Provider, quota: Quota, demand: Demand) -> Grant:
        """Take, or wait for room and take. Raises QuotaExceeded, QuotaUnknown."""
        fallback = (x.route.policy if x.route is not None else USUAL).fallback
        left = x.arrived + fallback.total - monotonic()
        patience = max(0.0, min(provider.timeouts.connect, left))
        if any(attempt.open for attempt in x.attempts):
            patience = 0.0
        return await self.room.take(quota, demand, x.caller.name, self.most, patience)


Queues = Mapping[str, Queue]
"""By the provider's name; those that have none are not in it."""

NO_QUEUES: Queues = {}


def room_of_provider() -> WaitingRoom:
    """Where requests wait for one provider. It outlives a reload, as those who wait do."""
    return WaitingRoom(_is_provider_limit)


def _is_provider_limit(rule: Rule) -> bool:
    return rule.scope.kind == "provider" and rule.measure != "money"
