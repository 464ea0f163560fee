"""The demo vendor's Answer: parts that arrive one by one, paced by the loop's own timers.

One timer at a time stands for the vendor: it brings the next part to the sink, or holds it until
somebody asks, and sets itself again; no task and no clock of ours. Pausing takes the timer away. A
second timer is the total deadline. The answer ends once: delivered, error (a deadline), or abort,
after which whoever waits gets Cut, because what is not whole must never look finished.
"""

import asyncio
from typing import TYPE_CHECKING

from proxy.base.errors import Cut, Malformed, TimedOut, UpstreamError
from proxy.core.outgoing import Timeouts
from proxy.core.ports import Answer, RawHeaders, Sink
from proxy.demo.content import Content

if TYPE_CHECKING:
    from collections.abc import Iterator


class DemoAnswer(Answer):
    """An answer whose head is known. Made inside a running loop."""

    def __init__(self, content: Content, delay: float, timeouts: Timeouts) -> None:
        self.status = content.status
        self.headers: RawHeaders = _headers(content)
        self._loop = asyncio.get_running_loop()
        self._delay = delay
        self._timeouts = timeouts
        self._coming: Iterator[bytes] = iter(content.parts if content.paced else ())
        self._left = len(content.parts) if content.paced else 0
        self._held: list[bytes] = [] if content.paced else list(content.parts)
        self._begun = not self._left
        self._sink: Sink | None = None
        self._paused = False
        self._taken = False
        self._delivered = False
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        if self._left:
            self._deadline = self._loop.call_later(timeouts.total, self._expire, "total")
            self._set_timer()

    @property
    def here(self) -> bool:
        return self._begun and self._error is None

    async def ready(self) -> None:
        while not self._begun:
            await self._turn()
        if self._error is not None:
            raise self._error

    async def read(self, limit: int) -> bytes:
        self._claim()
        try:
            while self._left:
                await self._turn()
            if self._error is not None:
                raise self._error
            body = b"".join(self._held)
            if len(body) > limit:
                raise Malformed(f"The demo vendor's answer is larger than {limit} bytes.")
            self._delivered = True
            return body
        finally:
            self._release()

    def take(self) -> bytes | None:
        if self._left or self._taken or self._error is not None:
            return None
        self._claim()
        self._delivered = True
        body = b"".join(self._held)
        self._held.clear()
        return body

    async def pump(self, sink: Sink) -> None:
        self._claim()
        try:
            if self._error is None and self._held:
                here = b"".join(self._held)
                self._held.clear()
                sink(here)
            self._sink = sink
            while self._left and self._error is None:
                await self._turn()
            if self._error is not None:
                raise self._error
            self._delivered = True
        finally:
            self._release()

    def pause(self) -> None:
        self._paused = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def resume(self) -> None:
        self._paused = False
        self._set_timer()

    def abort(self) -> None:
        if not self._delivered:
            self._fail(Cut("The demo vendor's answer was dropped before its end."))

    def _claim(self) -> None:
        """The body can be had once."""
        if self._taken:
            raise RuntimeError("the body of this answer was taken already")
        self._taken = True

    def _release(self) -> None:
        """A reader goes: what it left behind is dropped."""
        self._sink = None
        self._held.clear()
        self.abort()

    async def _turn(self) -> None:
        """Wait until something changes; raise what went wrong."""
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _set_timer(self) -> None:
        """Let the next part come, or the deadline that lies before it."""
        if self._timer is not None or self._paused or not self._left:
            return
        limit = self._timeouts.idle if self._begun else self._timeouts.first_token
        if self._delay <= limit:
            self._timer = self._loop.call_later(self._delay, self._arrive)
        else:
            phase = "idle" if self._begun else "first_token"
            self._timer = self._loop.call_later(limit, self._expire, phase)

    def _arrive(self) -> None:
        """The next part is here. The sink may pause or abort us while it takes it."""
        self._timer = None
        part = next(self._coming)
        self._left -= 1
        first, self._begun = not self._begun, True
        if self._sink is None:
            self._held.append(part)
        else:
            try:
                self._sink(part)
            except BaseException:
                self.abort()
                raise
        if not self._left and self._deadline is not None:
            self._deadline.cancel()
        if first or not self._left:
            self._wake()
        self._set_timer()

    def _expire(self, phase: str) -> None:
        self._fail(TimedOut(f"The demo vendor passed the {phase} deadline.", phase=phase))

    def _fail(self, error: UpstreamError) -> None:
        """End now, unless something else was the end already."""
        if self._error is None:
            self._error = error
        self._left = 0
        self._begun = True
        self._held.clear()
        for timer in (self._timer, self._deadline):
            if timer is not None:
                timer.cancel()
        self._timer = None
        self._wake()


def _headers(content: Content) -> RawHeaders:
    media = (b"content-type", content.media.encode())
    if content.paced:
        return [media, (b"cache-control", b"no-cache")]
    return [media, (b"content-length", str(sum(map(len, content.parts))).encode())]
