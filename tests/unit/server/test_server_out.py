"""What is written to a caller's connection: framing, and heads that nobody else can write to."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from proxy.base.errors import BadRequest, InternalError
from proxy.base.jsonio import loads
from proxy.base.turn import AtOnce
from proxy.core.writer import Writer
from proxy.server.out import HttpOut
from tests.fakes.wire import FakeAnswer

if TYPE_CHECKING:
    from proxy.server.arrival import Arrival
    from proxy.server.connection import Connection

OWN = b"x-request-id: req_1\r\n"
JSON = [(b"content-type", b"application/json")]


class Transport:
    """Keeps what was written and how it was ended."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.ended = ""

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.ended = "close"

    def abort(self) -> None:
        self.ended = "abort"

    def get_extra_info(self, name: str) -> None:
        """There is no socket below."""


@dataclass
class Caller:
    """What an answer needs of a connection and of the request on it."""

    method: str = "GET"
    http_1_1: bool = True
    keep_alive: bool = True
    writable: bool = True
    source: object = None
    drained: int = 0
    transport: Any = field(default_factory=Transport)
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        self.writer = Writer(AtOnce())
        self.writer.transport = self.transport

    async def drain(self) -> None:
        self.drained += 1

    def out(self) -> HttpOut:
        return HttpOut(cast("Connection", self), cast("Arrival", self), OWN)

    def head(self) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """Status line, fields and body of all that was written; Date checked and taken out."""
        head, _, body = b"".join(self.transport.written).partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        found = {name: words for name, _, words in (line.partition(b": ") for line in lines)}
        assert len(found) == len(lines), "a field twice"
        assert found.pop(b"date").endswith(b" GMT")
        assert found.pop(b"x-request-id") == b"req_1"
        return status, found, body


WHOLE = [
    ("GET", 200, b"{}", None, b"2", b"{}"),
    ("GET", 200, b"", None, b"0", b""),
    ("GET", 404, b"x", None, b"1", b"x"),
    ("GET", 204, b"", None, None, b""),
    ("GET", 304, b"", None, None, b""),
    ("HEAD", 200, b"", 42, b"42", b""),
    ("HEAD", 200, b"", None, None, b""),
    ("HEAD", 200, b"{}", None, b"2", b""),
    ("HEAD", 304, b"", 42, None, b""),
]


@pytest.mark.parametrize(("method", "status", "body", "given", "length", "sent"), WHOLE)
@pytest.mark.parametrize("http_1_1", [True, False])
def test_whole(
    method: str,
    status: int,
    body: bytes,
    given: int | None,
    length: bytes | None,
    sent: bytes,
    http_1_1: bool,
) -> None:
    caller = Caller(method, http_1_1)
    caller.out().whole(status, JSON, body, given)
    line, fields, rest = caller.head()
    assert line.startswith(b"HTTP/1.1 %d " % status)
    assert fields.pop(b"content-type") == b"application/json"
    assert fields.pop(b"content-length", None) == length
    assert fields == ({} if http_1_1 else {b"connection": b"keep-alive"})
    assert rest == sent
    assert len(caller.transport.written) == 1


STARTED = [
    (True, None, {b"transfer-encoding": b"chunked"}, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", True),
    (True, 5, {b"content-length": b"5"}, b"abcde", True),
    (False, 5, {b"content-length": b"5", b"connection": b"keep-alive"}, b"abcde", True),
    (False, None, {b"connection": b"close"}, b"abcde", False),
]


@pytest.mark.parametrize(("http_1_1", "length", "framing", "sent", "keeps"), STARTED)
def test_pieces(
    http_1_1: bool, length: int | None, framing: dict[bytes, bytes], sent: bytes, keeps: bool
) -> None:
    caller = Caller(http_1_1=http_1_1)
    out, source = caller.out(), FakeAnswer()
    writer = out.start(200, [], source, length)
    assert out.started
    assert caller.transport.written == []  # The head leaves with the first piece.
    assert caller.source is source
    writer.piece(b"abc")
    assert caller.transport.written[0].endswith(b"abc" if length or not http_1_1 else b"abc\r\n")
    writer.piece(b"de")
    out.end()
    _, fields, body = caller.head()
    assert fields == framing
    assert body == sent
    assert caller.keep_alive is keeps
    assert caller.source is None


@pytest.mark.parametrize(
    ("http_1_1", "length", "body"), [(True, None, b"0\r\n\r\n"), (True, 0, b""), (False, None, b"")]
)
def test_an_empty_body_in_pieces_has_its_head_and_its_end(
    http_1_1: bool, length: int | None, body: bytes
) -> None:
    caller = Caller(http_1_1=http_1_1)
    out = caller.out()
    out.start(200, [], FakeAnswer(), length)
    out.end()
    assert caller.head()[2] == body


@pytest.mark.parametrize(
    ("http_1_1", "length", "ended"),
    [(True, None, "close"), (True, 9, "close"), (False, None, "abort")],
)
def test_a_cut_body_never_gets_its_end(http_1_1: bool, length: int | None, ended: str) -> None:
    caller = Caller(http_1_1=http_1_1)
    out = caller.out()
    writer = out.start(200, [], FakeAnswer(), length)
    writer.piece(b"abc")
    out.cut()
    assert caller.transport.ended == ended
    assert not b"".join(caller.transport.written).endswith(b"0\r\n\r\n")
    assert not caller.keep_alive
    assert caller.source is None


def test_a_whole_body_is_not_taken_back() -> None:
    """Where the end of the connection is that of the body, a reset would drop what is unread."""
    caller = Caller(http_1_1=False)
    out = caller.out()
    writer = out.start(200, [], FakeAnswer())
    writer.piece(b"abc")
    out.end()
    out.cut()
    assert caller.transport.ended == "close"


@pytest.mark.parametrize(
    "field",
    [
        (b"a", b"b\r\nset-cookie: c"),
        (b"a", b"b\nset-cookie: c"),
        (b"a", b"b\rset-cookie: c"),
        (b"a\r\nb", b"c"),
    ],
)
def test_a_field_cannot_write_our_head(field: tuple[bytes, bytes]) -> None:
    caller = Caller()
    out = caller.out()
    with pytest.raises(InternalError):
        out.whole(200, [field], b"")
    with pytest.raises(InternalError):
        out.start(200, [field], FakeAnswer())
    assert caller.transport.written == []
    assert not out.started
    out.refuse(InternalError("sorry"))
    assert caller.head()[0] == b"HTTP/1.1 500 Internal Server Error"


def test_a_connection_that_is_not_kept_says_so() -> None:
    caller = Caller(keep_alive=False)
    caller.out().whole(200, [], b"")
    assert caller.head()[1][b"connection"] == b"close"


@pytest.mark.parametrize("name", [b"date", b"Date"])
def test_the_vendors_date_stays(name: bytes) -> None:
    caller = Caller()
    caller.out().whole(200, [(name, b"then")], b"")
    assert b"".join(caller.transport.written).lower().count(b"date: ") == 1


def test_an_unknown_status_can_be_said() -> None:
    caller = Caller()
    caller.out().whole(529, [], b"")
    assert caller.head()[0] == b"HTTP/1.1 529 "


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_refusal(method: str) -> None:
    caller = Caller(method)
    caller.out().refuse(BadRequest("no", code="c"))
    status, fields, body = caller.head()
    assert status == b"HTTP/1.1 400 Bad Request"
    if method == "HEAD":
        assert body == b"", "the next answer on this connection would begin with these bytes"
    else:
        assert loads(body)["error"]["code"] == "c"
        assert int(fields[b"content-length"]) == len(body)


async def test_back_pressure() -> None:
    source = FakeAnswer()
    caller = Caller(writable=False)
    out = caller.out()
    out.start(200, [], source)
    assert source.did == ["pause"]
    await out.flush()
    assert caller.drained == 1
    caller.writable = True
    await out.flush()
    assert caller.drained == 1


def test_a_caller_that_is_gone_is_written_nothing() -> None:
    caller = Caller(transport=None)
    out = caller.out()
    writer = out.start(200, [], FakeAnswer())
    writer.piece(b"x")
    out.cut()
    assert out.started


def test_lines_of_ours_are_in_the_head_and_not_in_that_of_a_refusal() -> None:
    caller = Caller()
    out = caller.out()
    out.add(b"x-ratelimit-limit-requests: 9\r\nx-own: 1\r\n")
    out.whole(200, JSON, b"{}")
    _, fields, body = caller.head()
    assert (fields[b"x-ratelimit-limit-requests"], fields[b"x-own"], body) == (b"9", b"1", b"{}")
    caller = Caller()
    out = caller.out()
    out.add(b"x-own: 1\r\n")
    out.refuse(BadRequest("no"))
    assert b"x-own" not in caller.head()[1]
