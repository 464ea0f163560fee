"""What a fake vendor does for one request: a reply written down as steps on the wire.

`compiled` turns a `Reply` into steps: bytes, which are written in one call each, and things to do
between them. Everything that can go wrong on a wire is a step at some place: before the head,
inside the head, among the chunks, or after so many bytes of the body.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

HeaderPair = tuple[str | bytes, str | bytes]


@dataclass(frozen=True, slots=True)
class Pause:
    """Let so many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Go on when the test says so."""

    event: asyncio.Event


class Act(Enum):
    """What ends a reply early."""

    FIN = "close the connection in order"
    RST = "reset the connection"
    STALL = "say nothing more and keep the connection"


FIN, RST, STALL = Act.FIN, Act.RST, Act.STALL

Step = bytes | Pause | WaitFor | Act

_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted reply; see `Vendor.say` for what the fields mean."""

    status: int = 200
    headers: Sequence[HeaderPair] | None = None
    body: bytes = b""
    chunks: Sequence[Step] | None = None
    framing: str = "length"
    informational: Sequence[int] = ()
    before_head: Sequence[Step] = ()
    inside_head: Sequence[Step] = ()
    cut_after: int | None = None
    cut: Act = FIN
    drip: float | None = None
    close: bool = False
    unread: bool = False
    raw: Sequence[Step] | None = None


def compiled(reply: Reply, *, head_only: bool = False) -> list[Step]:
    """The steps of `reply`, ends included. Raises ValueError if the script contradicts itself."""
    if reply.raw is not None:
        return list(reply.raw)
    steps = [*_informational(reply), *reply.before_head, *_head(reply)]
    if not head_only and reply.status not in _BODILESS:
        steps += _body(reply)
    if reply.drip is not None:
        steps = list(_dripped(steps, reply.drip))
    if reply.close or reply.framing == "close" or reply.unread:
        steps.append(FIN)
    return steps


def _informational(reply: Reply) -> Iterator[Step]:
    for status in reply.informational:
        link = b"link: </style.css>; rel=preload\r\n" if status == 103 else b""
        yield b"HTTP/1.1 %d Informational\r\n%b\r\n" % (status, link)


def _head(reply: Reply) -> list[Step]:
    lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}".encode()]
    headers = [("content-type", "application/json")] if reply.headers is None else reply.headers
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    # 204 and 304 never have a body, nor fields that would announce one.
    if reply.status not in _BODILESS:
        lines += _framing(reply)
    if reply.close or reply.framing == "close" or reply.unread:
        lines.append(b"connection: close")
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    if not reply.inside_head:
        return [head]
    half = len(lines[0]) // 2
    return [head[:half], *reply.inside_head, head[half:]]


def _framing(reply: Reply) -> list[bytes]:
    match reply.framing:
        case "length":
            return [b"content-length: %d" % len(_content(reply))]
        case "chunked":
            return [b"transfer-encoding: chunked"]
        case "close":
            return []
        case _:
            raise ValueError(f"framing is length, chunked or close, not {reply.framing!r}")


def _content(reply: Reply) -> bytes:
    if reply.chunks is None:
        return reply.body
    return b"".join(step for step in reply.chunks if isinstance(step, bytes))


def _body(reply: Reply) -> list[Step]:
    chunks = [reply.body] if reply.chunks is None else reply.chunks
    chunks = [step for step in chunks if step != b""]
    if reply.cut_after is not None:
        if reply.cut_after > len(_content(reply)):
            raise ValueError("cut_after lies behind the end of the body")
        chunks = [*_first(chunks, reply.cut_after), reply.cut]
    if reply.framing != "chunked":
        return chunks
    framed = [b"%x\r\n%b\r\n" % (len(s), s) if isinstance(s, bytes) else s for s in chunks]
    return [*framed, b"0\r\n\r\n"]


def _first(chunks: Sequence[Step], limit: int) -> Iterator[Step]:
    """The steps up to the first `limit` bytes of the body."""
    left = limit
    for step in chunks:
        if not isinstance(step, bytes):
            yield step
        elif left > len(step):
            yield step
            left -= len(step)
        else:
            # An empty chunk would be the end of a chunked body.
            if left:
                yield step[:left]
            return


def _dripped(steps: Sequence[Step], pause: float) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, bytes):
            for place in range(len(step)):
                yield step[place : place + 1]
                yield Pause(pause)
        else:
            yield step


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unnamed"


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")
