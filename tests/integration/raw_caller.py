"""A caller on a raw socket: sends exactly the bytes it is given, and reads answers strictly.

An answer that is framed wrongly, or a body that does not come to its declared end, raises; so a
test that gets an `Answer` knows that it was whole.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from proxy.base import jsonio

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [^\r\n]*")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_LIMIT = 1 << 22
_KEY = ("authorization", "Bearer sk-everything")

Fields = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Answer:
    """One whole answer; `framing` is length, chunked, close or none."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    framing: str = "none"

    def json(self) -> Any:
        return jsonio.loads(self.body)

    def all(self, name: str) -> list[str]:
        wanted = name.lower().encode()
        return [v.decode("latin-1") for n, v in self.headers if n.lower() == wanted]

    def header(self, name: str) -> str | None:
        """The value of a header field that may be there once."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def error(self) -> dict[str, Any]:
        """The error object; fails unless the body has OpenAI's shape."""
        assert (self.header("content-type") or "").startswith("application/json")
        error = self.json()["error"]
        assert set(error) >= {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str) and isinstance(error["type"], str)
        return dict(error)


def request(
    method: str,
    path: str,
    *,
    headers: Fields = (),
    body: bytes | None = None,
    key: bool = True,
    version: str = "1.1",
) -> bytes:
    """A request as bytes; Content-Length is added to a body unless a field frames it."""
    fields: list[tuple[str, str]] = [("host", "gateway.test"), *([_KEY] if key else []), *headers]
    framed = any(n.lower() in {"content-length", "transfer-encoding"} for n, _ in headers)
    if body is not None and not framed:
        fields.append(("content-length", str(len(body))))
    lines = [f"{method} {path} HTTP/{version}", *(f"{n}: {v}" for n, v in fields)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


class Caller:
    """One connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, *, receive_buffer: int | None = None) -> Self:
        sock = socket.socket()
        if receive_buffer is not None:  # Must be set before the connection stands.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        limit = _LIMIT if receive_buffer is None else receive_buffer
        return cls(*await asyncio.open_connection(sock=sock, limit=limit))

    @classmethod
    async def connect_tls(cls, port: int, context: ssl.SSLContext, name: str) -> Self:
        """Over TLS, to a server of this name."""
        opened = asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=name, limit=_LIMIT
        )
        return cls(*await opened)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Close at once."""
        self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Fields = (),
        body: bytes | None = None,
        key: bool = True,
        version: str = "1.1",
    ) -> Answer:
        """Send a request and read its answer."""
        await self.send(request(method, path, headers=headers, body=body, key=key, version=version))
        return await self.answer(head_only=method == "HEAD")

    async def answer(self, *, head_only: bool = False) -> Answer:
        """The next answer, whole. Raises IncompleteReadError when it breaks off."""
        answer = await self.head()
        if not head_only:
            answer.body = await self._body(answer)
        return answer

    async def head(self) -> Answer:
        """The next answer's head."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        status = _STATUS.fullmatch(first)
        assert status is not None, first
        fields = []
        for line in lines:
            field = _FIELD.fullmatch(line)
            assert field is not None, line
            fields.append((field[1], field[2]))
        answer = Answer(int(status[1]), fields)
        lengths, codings = answer.all("content-length"), answer.all("transfer-encoding")
        assert len(lengths) + len(codings) < 2, head
        if codings:
            assert codings == ["chunked"]
            answer.framing = "chunked"
        elif lengths:
            answer.framing = "length"
        elif answer.status >= 200 and answer.status not in {204, 304}:
            answer.framing = "close"
        return answer

    async def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        line = await self.reader.readuntil(b"\r\n")
        assert re.fullmatch(rb"[0-9a-f]+\r\n", line), line
        data = await self.reader.readexactly(int(line, 16) + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]

    async def rest(self) -> bytes:
        """Everything until the gateway closes; a reset counts as a close."""
        parts = []
        try:
            while data := await self.reader.read(1 << 16):
                parts.append(data)
        except ConnectionError:
            parts.append(b"")
        return b"".join(parts)

    async def _body(self, answer: Answer) -> bytes:
        match answer.framing:
            case "length":
                return await self.reader.readexactly(int(answer.all("content-length")[0]))
            case "chunked":
                parts = []
                while part := await self.chunk():
                    parts.append(part)
                return b"".join(parts)
            case "close":
                return await self.rest()
            case _:
                return b""
