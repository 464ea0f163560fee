"""Reads HTTP/1.1 requests from a stream, strictly: what a careful server would refuse is a fault.

The fake vendor is also the judge of what the proxy sends, so it forgives nothing.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from proxy.base import jsonio

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")


class BadHTTP(Exception):
    """What came in is not the HTTP/1.1 that a proxy should send."""


@dataclass(slots=True)
class Request:
    """One request as it arrived. `connection` counts from 1 in the order of accepting."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    connection: int
    body: bytes = b""

    def json(self) -> Any:
        return jsonio.loads(self.body)

    def all(self, name: str) -> list[str]:
        """All values of a header field, in order."""
        wanted = name.lower().encode()
        return [v.decode("latin-1") for n, v in self.headers if n.lower() == wanted]

    def header(self, name: str) -> str | None:
        """The value of a header field that may be there once."""
        values = self.all(name)
        assert len(values) < 2, f"{name} was sent {len(values)} times"
        return values[0] if values else None


async def read_head(reader: asyncio.StreamReader, connection: int) -> Request | None:
    """The next request without its body; None if the client closed in between requests.

    Raises BadHTTP, and IncompleteReadError if the client left inside the head.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise
    first, *lines = head[:-4].split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise BadHTTP(f"bad request line {first[:200]!r}")
    headers: list[tuple[bytes, bytes]] = []
    for text in lines:
        field = _FIELD.fullmatch(text)
        if field is None:
            raise BadHTTP(f"bad header line {text[:200]!r}")
        headers.append((field[1], field[2]))
    request = Request(line[1].decode(), line[2].decode(), headers, connection)
    if len(request.all("host")) != 1:
        raise BadHTTP("a request needs one Host")
    return request


async def read_body(reader: asyncio.StreamReader, request: Request) -> bytes:
    """The body of `request`. Raises as `read_head` does."""
    lengths, codings = request.all("content-length"), request.all("transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise BadHTTP(f"framed twice: content-length {lengths}, transfer-encoding {codings}")
    if codings:
        if codings != ["chunked"]:
            raise BadHTTP(f"unknown transfer-encoding {codings}")
        return await _read_chunked(reader)
    if not lengths:
        return b""
    if not re.fullmatch(r"[0-9]+", lengths[0]):
        raise BadHTTP(f"bad content-length {lengths[0]!r}")
    return await reader.readexactly(int(lengths[0]))


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while True:
        line = await reader.readuntil(b"\r\n")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}\r\n", line):
            raise BadHTTP(f"bad chunk size {line[:100]!r}")
        size = int(line, 16)
        part = await reader.readexactly(size + 2)
        if not part.endswith(b"\r\n"):
            raise BadHTTP("a chunk does not end where it says, or there are trailers")
        if not size:
            return b"".join(parts)
        parts.append(part[:-2])
