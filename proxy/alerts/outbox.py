"""Sends what is kept for one receiver: signed, again and again, until it has it or a day is over.

A delivery is claimed before it is sent, so of several hosts one sends; whoever dies with it leaves
it to the others when the lease ends. So the receiver may get an alert twice, under the same id. One
slow receiver holds up nobody: each has an outbox of its own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from proxy.alerts.message import headers
from proxy.base.errors import UpstreamError
from proxy.core.accounting import StoreAway
from proxy.core.alerts import AlertStore, Delivery
from proxy.core.outgoing import Outgoing, Timeouts
from proxy.core.ports import Answer, Transport

log = logging.getLogger("llm-proxy.alerts")

_TIMEOUTS = Timeouts(connect=5.0, first_token=10.0, idle=10.0, total=10.0)
_FIELDS = ((b"content-type", b"application/json"), (b"user-agent", b"llm-proxy"))
_LONGEST_ANSWER = 64 * 1024
_GONE = 410
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Receiver:
    """Whom to send to. `id`: what the store knows it by; `name`: what people may see; `target`:
    path and query; `key`: what alerts are signed with."""

    id: str
    name: str
    target: str
    transport: Transport
    key: bytes


@dataclass(frozen=True, slots=True)
class SendPace:
    """Seconds. The pause after a failure doubles from `first` to `longest`; nothing is tried again
    after `patience`. `look`: after which the store is asked though nothing is known to be due."""

    first: float = 1.0
    longest: float = 300.0
    patience: float = 86400.0
    lease: float = 30.0
    look: float = 30.0
    away: float = 5.0
    at_once: int = 8


class Failure(NamedTuple):
    """Why the receiver does not have it. `final`: it does not want any more."""

    reason: str
    final: bool = False


class Outbox:
    """Everything for one receiver."""

    def __init__(
        self,
        store: AlertStore,
        receiver: Receiver,
        wall: Callable[[], float],
        pace: SendPace,
        timeouts: Timeouts = _TIMEOUTS,
    ) -> None:
        self._store = store
        self._receiver = receiver
        self._wall = wall
        self._pace = pace
        self._timeouts = timeouts
        self._news = asyncio.Event()
        self.waiting = 0
        self.failing = False  # Whether the last try came to nothing.
        self.counts = {"sent": 0, "failed": 0, "given_up": 0}

    def look(self) -> None:
        """There is something new."""
        self._news.set()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            try:
                pause = await self.send_due()
            except StoreAway as error:
                log.debug("alerts for %s wait for the store: %s", self._receiver.name, error)
                pause = self._pace.away
            except Exception:  # The last net: no alert may wait for a restart of control.
                log.exception("sending alerts to %s failed; trying again", self._receiver.name)
                pause = self._pace.away
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
            except TimeoutError:
                continue  # Something may be due now.
            self._news.clear()

    async def send_due(self) -> float:
        """Send what is due; return how long to wait for more. Raises StoreAway."""
        pace = self._pace
        while True:
            claim = await self._store.claim(self._receiver.id, pace.at_once, pace.lease)
            self.waiting = claim.waiting
            if not claim.deliveries:
                return pace.look if claim.pause is None else min(max(claim.pause, 0.0), pace.look)
            await asyncio.gather(*map(self._deliver, claim.deliveries))

    async def _deliver(self, delivery: Delivery) -> None:
        receiver, pace = self._receiver, self._pace
        failure = await self._post(delivery)
        self.failing = failure is not None
        if failure is None:
            self.counts["sent"] += 1  # Before the wait, in which a reload may end this.
            await self._note(lambda: self._store.sent(delivery.id, receiver.id))
            return
        again: float | None = min(pace.longest, pace.first * 2.0 ** min(delivery.attempts - 1, 30))
        assert again is not None
        if failure.final or delivery.age + again > pace.patience:
            again = None
        reason = failure.reason
        self.counts["failed"] += 1
        self.counts["given_up"] += again is None
        await self._note(lambda: self._store.failed(delivery.id, receiver.id, reason, again))
        if again is None:
            log.error("%s did not take %s: %s; given up", receiver.name, delivery.id, reason)
        elif delivery.attempts == 1:
            log.warning("%s did not take %s: %s; trying again", receiver.name, delivery.id, reason)

    async def _post(self, delivery: Delivery) -> Failure | None:
        receiver = self._receiver
        signed = headers(receiver.key, delivery.id, int(self._wall()), delivery.body)
        outgoing = Outgoing("POST", receiver.target, (*_FIELDS, *signed), delivery.body)
        try:
            answer = await receiver.transport.send(outgoing, self._timeouts)
        except UpstreamError as error:
            return Failure(error.message[:_SHOWN])
        await self._leave(answer)
        if 200 <= answer.status < 300:
            return None
        return Failure(f"HTTP {answer.status}", final=answer.status == _GONE)

    async def _leave(self, answer: Answer) -> None:
        """The status says it all; the rest is read so that the connection can be used again."""
        try:
            _ = await answer.read(_LONGEST_ANSWER)
        except UpstreamError as error:
            log.debug("the rest of the answer of %s: %s", self._receiver.name, error)

    async def _note(self, call: Callable[[], Awaitable[None]]) -> None:
        """Have the store remember how it went. What it does not learn is sent again."""
        while True:
            try:
                return await call()
            except StoreAway as error:
                log.debug("an alert's end is not in the store yet: %s", error)
                await asyncio.sleep(self._pace.away)
