"""Asks providers how they are, beside the requests, where the operator wants that.

One question at a time to each provider, its pauses spread by chance so that workers and hosts do
not ask in step. What is the provider's fault counts like a failure of all its targets; an answer
closes their breakers early. What says nothing of its health (a refused key, a limit, no such path)
changes nothing. Questions that cost money end for the day when their cap is reached.

Nothing of this is in the usage records or in any budget: the cap is what bounds it.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from proxy.base.clock import wall
from proxy.base.errors import Malformed, UpstreamError
from proxy.base.tasks import Tasks
from proxy.core.outgoing import Outgoing, Timeouts
from proxy.core.ports import Answer
from proxy.core.target import Provider
from proxy.core.verdicts import TARGET_AT_FAULT
from proxy.routing.healths import Healths
from proxy.wire.headers import VendorHead
from proxy.wire.reasons import reason_of

log = logging.getLogger("llm-proxy.probes")

_DAY = 86400.0
_LONGEST = 10.0
_LARGEST = 8 * 1024 * 1024
_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Question:
    """How one provider is asked. `most`: what that can cost, in nano-USD, and `daily` in a day."""

    provider: Provider
    outgoing: Outgoing  # Without a key.
    every: float
    most: int = 0
    daily: int = 0


class Probes:
    """All providers of a worker. `draw`: a random number from 0 to below 1."""

    def __init__(
        self, healths: Healths, *, draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = wall,
    ) -> None:  # fmt: skip
        self._healths = healths
        self._draw = draw
        self._clock = clock
        self._tasks: dict[str, tuple[Question, Tasks]] = {}
        self._day = 0
        self._spent: dict[str, int] = {}

    async def apply(self, questions: Iterable[Question]) -> None:
        """Ask these from now on, and nothing else."""
        wanted = {each.provider.name: each for each in questions}
        for name, (_, tasks) in list(self._tasks.items()):
            del self._tasks[name]
            await tasks.cancel()
        for name, question in wanted.items():
            tasks = Tasks()
            _ = tasks.spawn(self._ask_again(question), name=f"probe {name}")
            self._tasks[name] = question, tasks

    async def stop(self) -> None:
        """Ask nothing more."""
        await self.apply(())

    async def _ask_again(self, question: Question) -> None:
        name = question.provider.name
        while True:
            await asyncio.sleep(question.every * (1 + _JITTER * (2 * self._draw() - 1)))
            if not self._may_spend(question):
                continue
            reason = await how_is(question)
            if reason is None or reason in TARGET_AT_FAULT:
                self._healths.probed(name, reason)
            else:
                log.info("the probe of `%s` says nothing of its health: %s", name, reason)

    def _may_spend(self, question: Question) -> bool:
        if not question.most:
            return True
        day = int(self._clock() / _DAY)
        if day != self._day:
            self._day = day
            self._spent.clear()
        name = question.provider.name
        spent = self._spent.get(name, 0) + question.most
        if spent > question.daily:
            return False
        self._spent[name] = spent
        return True


async def how_is(question: Question) -> str | None:
    """Ask once: why it failed (core/verdicts.py), or None: it is well."""
    provider, asked = question.provider, question.outgoing
    keys = provider.keys
    key = keys.take() if keys is not None else 0
    headers = asked.headers if keys is None else (*asked.headers, keys.field(key))
    outgoing = Outgoing(asked.method, asked.target, headers, asked.body)
    try:
        answer = await provider.transport.send(outgoing, _timeouts(provider.timeouts))
        reason = await _reason(answer)
    except UpstreamError as error:
        return error.reason
    if keys is not None and reason is not None:
        _ = keys.failed(key, reason)
    return reason


async def _reason(answer: Answer) -> str | None:
    try:
        body = await answer.read(_LARGEST)
    except BaseException:
        answer.abort()
        raise
    if answer.status >= 400:
        return reason_of(answer.status, body)
    if answer.status >= 300 or VendorHead(answer.headers).content_type.startswith(b"text/html"):
        raise Malformed("the vendor answered a probe with something else; is base_url right?")
    return None


def _timeouts(own: Timeouts) -> Timeouts:
    """Nobody waits for it, but a provider that takes so long for so little is not well."""
    return Timeouts(
        connect=min(own.connect, _LONGEST),
        first_token=min(own.first_token, _LONGEST),
        idle=min(own.idle, _LONGEST),
        total=min(own.total, 2 * _LONGEST),
    )
