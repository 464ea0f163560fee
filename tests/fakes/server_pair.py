"""The two HTTP servers side by side, without sockets: the same bytes to both, and what came of it.

A connection is driven through its protocol's methods, with a transport that keeps what is written;
so a run is exact and takes well under a millisecond.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from proxy.base.errors import ProxyError
from proxy.server.connections import AiohttpConnections
from proxy.server.listener import Kind
from proxy.server.out import HttpOut
from proxy.server.ports import Connections, Request, Serve
from proxy.server.raw.connections import RawConnections

_DATE = re.compile(rb"date: [^\r\n]+ GMT\r\n")
_TURNS = 8
LIMIT = 1 << 16
KINDS: dict[Kind, Callable[[Serve], Connections]] = {
    "aiohttp": AiohttpConnections,
    "httptools": RawConnections,
}


@dataclass(slots=True)
class Seen:
    """A request as the handler saw it."""

    method: str
    path: str
    query: str
    raw_headers: tuple[tuple[bytes, bytes], ...]
    headers: dict[str, str]
    http_1_1: bool
    upgrade: bool
    length: int | None
    body: bytes | None = None  # None: it never came to its end.
    error: str | None = None


@dataclass(slots=True)
class Outcome:
    """What a caller got and the handler saw."""

    answers: bytes = b""
    closed: bool = False
    seen: list[Seen] = field(default_factory=list)


class _Transport(asyncio.Transport):
    """Keeps what is written; nobody is on the other side."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self._outcome = outcome
        self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._outcome.closed:
            self._outcome.answers += bytes(data)

    def close(self) -> None:
        self._outcome.closed = True

    def abort(self) -> None:
        self._outcome.closed = True

    def is_closing(self) -> bool:
        return self._outcome.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class _Handler:
    """Takes every body and answers with how long it was."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    async def __call__(self, request: Request) -> None:
        seen = Seen(
            request.method,
            request.path,
            request.query,
            request.raw_headers,
            {name.lower(): value for name, value in reversed(list(request.headers.items()))},
            request.http_1_1,
            request.upgrade,
            request.length,
        )
        self._outcome.seen.append(seen)
        out = HttpOut(request.connection, request, b"x-request-id: 1\r\n")
        try:
            seen.body = await request.read(LIMIT)
        except ProxyError as error:
            seen.error = error.code
            out.refuse(error)
        else:
            out.whole(200, [], b"%d" % len(seen.body))


async def outcome(kind: Kind, pieces: Iterable[bytes]) -> Outcome:
    """What a server makes of bytes that come in these pieces."""
    found = Outcome()
    handler = _Handler(found)
    connections = KINDS[kind](handler)
    protocol = cast("asyncio.Protocol", connections())
    transport = _Transport(found)
    protocol.connection_made(transport)
    await _turns()
    for piece in pieces:
        if found.closed:
            break
        protocol.data_received(piece)
        await _turns()
    await _turns()
    found.answers = _DATE.sub(b"", found.answers)
    result = Outcome(found.answers, found.closed, [_copy(seen) for seen in found.seen])
    protocol.connection_lost(None)
    await _turns()
    return result


def _copy(seen: Seen) -> Seen:
    fields: dict[str, Any] = {name: getattr(seen, name) for name in Seen.__slots__}
    return Seen(**fields)


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
