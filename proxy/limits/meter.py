"""Stops a stream that has spent what was held for it, where nothing else would.

A stream without a cap, from a model of which nobody knows how much it can make, begins with a hold
for `bounds.STEP` tokens. The meter counts what passes, more rather than less: no text has more
tokens than bytes. When half of what is held has passed it asks for more, beside the stream. When
all has passed and no budget gives any more the stream ends with an error event and no `[DONE]`.

Only such streams have one. Reasoning that a vendor does not show cannot be seen here either.
"""

import re
from typing import TYPE_CHECKING

from proxy.base.errors import UpstreamError
from proxy.base.tasks import Tasks
from proxy.core.exchange import Exchange
from proxy.core.gate import Need, Rates
from proxy.core.hold_book import KeptHold
from proxy.core.ports import Answer
from proxy.core.quota import Grant
from proxy.limits import bounds

if TYPE_CHECKING:
    from asyncio import Task

_TEXT = {
    "chat": re.compile(
        rb'"(?:content|reasoning_content|reasoning|refusal|arguments|input)"\s*:\s*"((?:[^"\\]|\\.)*)"'
    ),
    "completions": re.compile(rb'"text"\s*:\s*"((?:[^"\\]|\\.)*)"'),
    "responses": re.compile(rb'"delta"\s*:\s*"((?:[^"\\]|\\.)*)"'),
}


class HoldSpent(UpstreamError):
    """The stream is at its end because the money is. What came before it counts."""

    status = 429
    type = "insufficient_quota"
    default_code = "insufficient_quota"
    kind = "budget_exceeded"
    public = None

    def __init__(self) -> None:
        super().__init__(
            "this answer was stopped: a budget has nothing left to go on with; name a cap on "
            "output to know beforehand what fits"
        )


class Meter:
    """A decoder that changes nothing, and refuses to go on."""

    __slots__ = (
        "_answer", "_counted", "_dry", "_find", "_grant", "_growth", "_held", "_kept", "_need",
        "_paused", "_rates",
    )  # fmt: skip

    def __init__(
        self, need: Need, rates: Rates, grant: Grant, kept: KeptHold | None = None
    ) -> None:
        self._need = need
        self._rates = rates
        self._grant = grant
        self._kept = kept
        self._held = bounds.affordable(need, rates, grant.money)  # Tokens.
        self._counted = 0
        self._growth: Task[None] | None = None
        self._dry = False  # No budget gives any more.
        self._paused = False

    def watch(self, x: Exchange, answer: Answer) -> None:
        """Begin, before the first byte goes out."""
        self._answer = answer
        self._find = _TEXT[x.operation.name].finditer
        x.filter(self, for_attempt=True)
        x.at_end(self._end)

    def feed(self, data: bytes) -> bytes:
        """The same bytes. Raises HoldSpent where they are more than is paid for."""
        self._counted += sum(found.end(1) - found.start(1) for found in self._find(data))
        if 2 * self._counted > self._held and self._growth is None and not self._dry:
            self._growth = Tasks().spawn(self._grow(), name="grow a hold")
        if self._counted > self._held:
            if self._dry:
                raise HoldSpent
            self._pause()  # Nothing more comes before it is known whether it can be paid.
        return data

    def finish(self) -> bytes:
        """Nothing is kept."""
        return b""

    async def _grow(self) -> None:
        wanted = max(2 * self._counted - self._held, bounds.STEP * self._need.choices)
        asked = bounds.output_cost(wanted, self._rates)
        given = await self._grant.grow(asked)
        self._dry = given < asked
        self._held = bounds.affordable(self._need, self._rates, self._grant.money)
        if given and self._kept is not None:
            self._kept.grew(self._grant.money, self._held)
        self._growth = None
        if self._paused:
            self._paused = False
            self._answer.resume()

    def _pause(self) -> None:
        self._paused = True
        self._answer.pause()

    def _end(self, _x: Exchange) -> None:
        if self._growth is not None:
            self._growth.cancel()
