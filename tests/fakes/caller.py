"""A caller without sockets: a request that is here, and a connection that writes down its answer.

`FakeOut` refuses what no real connection could undo: a second head, a piece behind the end.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from proxy.base.errors import TooLarge
from proxy.base.turn import AtOnce
from proxy.core.ports import Answer, RawHeaders
from proxy.core.writer import Writer

if TYPE_CHECKING:
    from asyncio import Transport

    from proxy.wire.recalled import Recalled


class FakeOut:
    """The port `Out`; `gone` is what `flush` raises."""

    def __init__(self, gone: BaseException | None = None) -> None:
        self.started = False
        self.status = 0
        self.headers: RawHeaders = ()
        self.length: int | None = None
        self.pieces: list[bytes] = []
        self.lines = b""
        self.did: list[str] = []
        self.gone = gone
        self.writer = Writer(AtOnce())
        self.writer.transport = cast("Transport", self)  # Whose `write` is below.

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def add(self, lines: bytes) -> None:
        self.lines = lines

    def whole(
        self, status: int, headers: RawHeaders, body: bytes, length: int | None = None
    ) -> None:
        self._head("whole", status, headers, length)
        self.pieces.append(body)

    def start(
        self, status: int, headers: RawHeaders, source: Answer, length: int | None = None
    ) -> Writer:
        self._head("start", status, headers, length)
        return self.writer

    def _head(self, how: str, status: int, headers: RawHeaders, length: int | None) -> None:
        assert not self.started, "two heads"
        self.did.append(how)
        self.started, self.status, self.length = True, status, length
        self.headers = [*headers, *fields(self.lines)] if self.lines else headers

    def go_on(self, source: Answer) -> Writer:
        """Pieces of another answer follow."""
        assert self.started and source is not None
        self.did.append("go on")
        return self.writer

    def write(self, data: bytes) -> None:
        assert self.did[-1] in {"start", "go on"} and data
        self.pieces.append(data)

    def end(self) -> None:
        self.did.append("end")

    def cut(self) -> None:
        self.did.append("cut")

    full = True

    async def flush(self) -> None:
        await asyncio.sleep(0)
        if self.gone is not None:
            raise self.gone


class FakeIncoming:
    """The port `Incoming`, its body in pieces."""

    def __init__(
        self, body: bytes | Sequence[bytes] = b"", path: str = "/chat/completions",
        headers: Iterable[tuple[str, str]] = (), *, method: str = "POST", query: str = "",
        length: int | None = -1, peer: str | None = "127.0.0.1", here: bool = False,
    ) -> None:  # fmt: skip
        """`here`: the body came with the head."""
        self.id = "req_test"
        self.method = method
        self.path = path
        self.query = query
        fields = list(headers)
        self.headers: Mapping[str, str] = {name.lower(): words for name, words in reversed(fields)}
        self.raw_headers = tuple(
            (name.encode(), words.encode("utf-8", "surrogateescape")) for name, words in fields
        )
        self.recalled: Recalled | None = None
        self._peer = peer
        self._here = here
        self.pieces = [body] if isinstance(body, bytes) else list(body)
        self.length: int | None = sum(map(len, self.pieces)) if length == -1 else length

    @property
    def peer(self) -> str | None:
        return self._peer

    def take(self, limit: int) -> bytes | None:
        data = b"".join(self.pieces)
        return data if self._here and len(data) <= limit else None

    async def read(self, limit: int) -> bytes:
        return b"".join([piece async for piece in self.chunks(limit)])

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        size = 0
        for piece in self.pieces:
            await asyncio.sleep(0)
            size += len(piece)
            if size > limit:
                raise TooLarge("too large")
            yield piece


def fields(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Rendered header lines, read again."""
    pairs = [line.partition(b": ") for line in lines.splitlines()]
    return [(name, value) for name, _, value in pairs]
