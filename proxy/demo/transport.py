"""The way to the demo vendor: a Transport that has no address, no key and no network.

Takes the same Outgoing as a real vendor, finds the handler by method and path, and answers in
OpenAI's wire format. The same request always gets the same bytes. A streamed answer begins at once
and brings one event each `delay` seconds; any other is whole after one `delay`.
"""

import asyncio

from proxy.base.errors import TimedOut
from proxy.core.outgoing import Outgoing, Timeouts
from proxy.core.ports import Answer, RawHeaders, Transport, Upload
from proxy.demo.answer import DemoAnswer
from proxy.demo.content import Content, Refusal, Request, refused
from proxy.demo.operations import answered, handler_of, path_of, unknown

MOST_BYTES = 32 * 1024 * 1024
"""Of an upload; OpenAI's own limit for audio is 25 MB."""


class DemoTransport(Transport):
    """The in-process vendor."""

    def __init__(self, delay: float = 0.02) -> None:
        self._delay = delay

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Answer:
        content = await _content(outgoing)
        if not content.paced:
            await self._think(timeouts)
        return DemoAnswer(content, self._delay, timeouts)

    def close(self) -> None:
        """There are no connections."""

    async def _think(self, timeouts: Timeouts) -> None:
        phase = "total" if timeouts.total < timeouts.first_token else "first_token"
        limit = min(timeouts.first_token, timeouts.total)
        await asyncio.sleep(min(self._delay, limit))
        if self._delay > limit:
            raise TimedOut(f"The demo vendor passed the {phase} deadline.", phase=phase)


async def _content(outgoing: Outgoing) -> Content:
    path = path_of(outgoing.target)
    handler = handler_of(outgoing.method, path)
    if handler is None:
        return unknown(outgoing.method, path)
    body = outgoing.body if isinstance(outgoing.body, bytes) else await _whole(outgoing.body)
    if body is None:
        return refused(Refusal(f"The demo vendor takes at most {MOST_BYTES} bytes.", status=413))
    return answered(handler, Request(path, _media(outgoing.headers), body))


async def _whole(upload: Upload) -> bytes | None:
    """The upload in memory; None if it is too large."""
    parts: list[bytes] = []
    size = 0
    async for part in upload:
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _media(headers: RawHeaders) -> str:
    for name, value in headers:
        if name.lower() == b"content-type":
            return value.decode("latin-1")
    return ""
