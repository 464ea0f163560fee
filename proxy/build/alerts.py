"""Control's alerts: from settings and stored documents to budgets that are watched, and outboxes.

A reload keeps the outbox of every receiver that stays as it is, so that nothing under way is cut.
Where nobody is to be told, nothing runs and the store is not asked.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy.alerts.outbox import Outbox, Receiver, SendPace
from proxy.alerts.watch import LookPace, Shipping, Watch
from proxy.base.clock import wall
from proxy.base.secret import fingerprint
from proxy.base.tasks import Tasks
from proxy.build.alert_budgets import configured, stored
from proxy.build.providers import proxy_settings
from proxy.config.alerts import Webhook, signing_key
from proxy.config.settings import Proxies, Settings
from proxy.core.ports import Transport
from proxy.stores.postgres.alerts import PostgresAlerts
from proxy.upstream.origin import Origin
from proxy.upstream.pool import PoolLimits
from proxy.upstream.proxies import choose
from proxy.upstream.tls import make_context
from proxy.upstream.transport import HttpTransport

_POOL = PoolLimits(8, 30.0)
_LOOK, _SEND = LookPace(), SendPace()

MadeFrom = tuple[Webhook, Proxies]


@dataclass(frozen=True, slots=True)
class _Line:
    """An outbox that runs. Equal settings: it goes on."""

    made_from: MadeFrom
    outbox: Outbox
    transport: Transport
    task: asyncio.Task[None]


class Alerting:
    """Watches and sends for as long as control lives."""

    def __init__(
        self,
        address: Callable[[], str | None],
        shipping: Callable[[], Shipping | None],
        clock: Callable[[], float] = wall,
        look: LookPace = _LOOK,
        send: SendPace = _SEND,
    ) -> None:
        """`address`: the store's; `shipping`: how it is filled. Both None while there is none."""
        self._store = PostgresAlerts(address)
        self._clock = clock
        self._pace = send
        self._watch = Watch(self._store, shipping, stored, clock, look)
        self._watching: asyncio.Task[None] | None = None
        self._lines: list[_Line] = []
        self._over: Counter[str] = Counter()  # Counts of outboxes that are no more.
        self._tasks = Tasks()

    async def apply(self, settings: Settings) -> None:
        """Watch by these settings, and tell the receivers they name."""
        wanted = [(each, settings.proxies) for each in settings.alerts if "budget" in each.on]
        if settings.store == "none":
            wanted = []
        for line in [each for each in self._lines if each.made_from not in wanted]:
            await self._end(line)
        known = {each.made_from: each for each in self._lines}
        self._lines = [known.get(each) or await self._begin(each) for each in wanted]
        budgets, entries = await asyncio.to_thread(configured, settings)
        self._watch.apply(budgets, entries, [_id(each) for each, _ in wanted])
        if wanted and self._watching is None:
            self._watching = self._tasks.spawn(self._watch.run(self._send), name="alerts")
        elif not wanted and self._watching is not None:
            await _cancelled(self._watching)
            self._watching = None

    async def stop(self) -> None:
        """End all of it. What was not sent waits in the store."""
        await self._tasks.cancel()
        for line in self._lines:
            line.transport.close()

    def counts(self) -> Mapping[str, int]:
        """Since control began: alerts that are new, and how tries to send them ended."""
        total = Counter({"new": self._watch.kept, "sent": 0, "failed": 0, "given_up": 0})
        for counts in (self._over, *(each.outbox.counts for each in self._lines)):
            total.update(counts)
        return total

    def waiting(self) -> int:
        """Deliveries that wait, as of the last look."""
        return sum(line.outbox.waiting for line in self._lines)

    def state(self) -> str:
        """In words, without the names of receivers: `none` where nobody is to be told."""
        if not self._lines:
            return "none"
        if self._watch.away:
            return "they wait for the store"
        failing = sum(line.outbox.failing for line in self._lines)
        if failing:
            return (
                f"{failing} of {len(self._lines)} receivers did not take the last one, "
                f"{self.waiting()} wait; the log has the reason"
            )
        return "up"

    def _send(self) -> None:
        for line in self._lines:
            line.outbox.look()

    async def _begin(self, made_from: MadeFrom) -> _Line:
        receiver = await asyncio.to_thread(_receiver, *made_from)
        outbox = Outbox(self._store, receiver, self._clock, self._pace)
        task = self._tasks.spawn(outbox.run(), name=f"alerts for {receiver.name}")
        return _Line(made_from, outbox, receiver.transport, task)

    async def _end(self, line: _Line) -> None:
        await _cancelled(line.task)
        line.transport.close()
        self._over.update(line.outbox.counts)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _id(webhook: Webhook) -> str:
    return fingerprint(webhook.webhook.reveal()).hex()


def _receiver(webhook: Webhook, proxies: Proxies) -> Receiver:
    """Reads the files of certificate authorities: not in the loop."""
    parts = urlsplit(webhook.webhook.reveal())
    origin, _ = Origin.parse(f"{parts.scheme}://{parts.netloc}")
    transport = HttpTransport(
        origin,
        _POOL,
        tls=make_context() if origin.secure else None,
        proxy=choose(origin, proxy_settings(proxies)),
    )
    return Receiver(
        _id(webhook),
        origin.address,
        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        transport,
        signing_key(webhook.secret),
    )
