"""A head that comes again: what is recognised, and that a parser makes the same of it."""

from typing import cast

import pytest

from proxy.server.raw.arrival import Arrival, Feeder
from proxy.server.raw.reader import RequestReader

HEAD = (
    b"POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-Two: 1\r\nX-Two: 2\r\n"
    b"Content-Length: %d\r\nAuthorization: Bearer sk-1\r\n\r\n"
)


class Line:
    """A connection that does nothing."""

    source = None
    writable = True
    draining = False
    transport = None

    def body_taken(self) -> None: ...


def asked(body: bytes, head: bytes = HEAD) -> bytes:
    return head % len(body) + body


def reader(*before: bytes, line: Line | None = None) -> RequestReader:
    """One that has read these requests."""
    found = RequestReader(cast("Feeder", line or Line()))
    for data in before:
        parsed(found, data)
    return found


def parsed(of: RequestReader, data: bytes) -> Arrival:
    of.read(data)
    return of.ready.popleft()


def facts(arrival: Arrival) -> dict[str, object]:
    """All that it says, its body too."""
    names = ("method", "path", "query", "headers", "raw_headers", "http_1_1", "keep_alive")
    more = ("upgrade", "length", "received", "taken", "complete", "unread", "left")
    found = {name: getattr(arrival, name) for name in (*names, *more)}
    return found | {"body": b"".join(arrival.pieces)}


@pytest.mark.parametrize("body", [b"{}", b"{1}", b"", b"x" * 200_000])
def test_it_is_what_the_parser_makes_of_it(body: bytes) -> None:
    data = asked(body)
    again = reader(asked(b"{}"))
    assert again.read_again(data)
    found = again.ready.popleft()
    fresh = reader()
    for byte in range(0, len(data), 1000):
        fresh.read(data[byte : byte + 1000])
    assert facts(found) == facts(fresh.ready.popleft())
    assert again.heads == 2
    assert not again.partial


def test_the_next_one_may_be_read_in_any_way() -> None:
    again = reader(asked(b"{}"))
    for body in (b"{}", b"abc", b"{}"):
        assert again.read_again(asked(body))
        assert again.ready.popleft().pieces == [body]
    assert facts(parsed(again, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))["method"] == "GET"
    assert parsed(again, asked(b"{}")).pieces == [b"{}"]


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("another target", asked(b"{}").replace(b"x=1", b"x=2")),
        ("another field", asked(b"{}").replace(b"sk-1", b"sk-2")),
        ("one more field", asked(b"{}").replace(b"Accept", b"X: 1\r\nAccept")),
        ("another spelling", asked(b"{}").replace(b"Content-L", b"content-l")),
        ("a part of the body", asked(b"{}")[:-1]),
        ("more than it", asked(b"{}") + b"G"),
        ("two of them", asked(b"{}") * 2),
        ("a length with a sign", asked(b"{}").replace(b"h: 2", b"h: +2")),
        ("a length with a space", asked(b"{}").replace(b"h: 2", b"h: 2 ")),
        ("no length", asked(b"{}").replace(b"h: 2", b"h: ")),
        ("a length in other digits", asked(b"{}").replace(b"h: 2", "h: \u0662".encode())),
        ("a long length", asked(b"{}").replace(b"h: 2", b"h: 0000000002")),
        ("line feeds alone", asked(b"{}").replace(b"2\r\n", b"2\n")),
        ("a part of the head", asked(b"{}")[:40]),
    ],
)
def test_what_is_left_to_the_parser(what: str, data: bytes) -> None:
    again = reader(asked(b"{}"))
    assert not again.read_again(data), what
    assert not again.ready


@pytest.mark.parametrize(
    ("what", "head"),
    [
        ("no length", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("the last one", HEAD.replace(b"Accept: */*", b"Connection: close") % 2 + b"{}"),
        ("an older version", HEAD.replace(b"1.1", b"1.0") % 2 + b"{}"),
        ("an upgrade", HEAD.replace(b"Accept: */*", b"Connection: upgrade\r\nUpgrade: x") % 0),
        ("two spaces", asked(b"{}").replace(b"n: B", b"n:  B")),
        ("no space", asked(b"{}").replace(b"n: B", b"n:B")),
        ("a space behind", asked(b"{}").replace(b"sk-1", b"sk-1 ")),
        ("a line before", b"\r\n" + asked(b"{}")),
        ("a long head", asked(b"{}").replace(b"sk-1", b"s" * 4096)),
    ],
)
def test_what_is_not_remembered(what: str, head: bytes) -> None:
    again = reader(head)
    again.deaf = False  # Of the last one of a connection only this is asked here.
    again.current = None
    assert not again.read_again(head), what


def test_the_first_in_many_reads_is_not_remembered() -> None:
    again = reader()
    data = asked(b"{}")
    again.read(data[:30])
    assert not again.read_again(data[30:])
    again.read(data[30:])
    again.ready.popleft()
    assert not again.read_again(data)


def test_heads_that_never_repeat_are_given_up() -> None:
    again = reader(*(asked(b"{}").replace(b"sk-1", b"sk-%d" % number) for number in range(9)))
    assert not again.read_again(asked(b"{}").replace(b"sk-1", b"sk-8")), "it was not looked at"
    assert again.read_again(asked(b"{}").replace(b"sk-1", b"sk-2")), "the last that was"
    again.ready.popleft()
    data = asked(b"{}").replace(b"sk-1", b"sk-9")
    parsed(again, data)
    assert again.read_again(data), "one that came again gives others a chance"


def test_before_the_end_of_the_service_each_is_parsed() -> None:
    line = Line()
    again = reader(asked(b"{}"), line=line)
    line.draining = True
    assert not again.read_again(asked(b"{}"))
    assert not parsed(again, asked(b"{}")).keep_alive


def test_what_is_found_out_about_a_head_is_kept_with_it() -> None:
    first, again = reader(), reader(asked(b"{}"))
    assert parsed(first, asked(b"{}")).recalled is None
    found = []
    for body in (b"{}", b"abc"):
        assert again.read_again(asked(body))
        found.append(again.ready.popleft().recalled)
    assert found[0] is found[1] is not None
    parsed(again, asked(b"{}").replace(b"sk-1", b"sk-2"))
    assert again.read_again(asked(b"{}").replace(b"sk-1", b"sk-2"))
    assert again.ready.popleft().recalled is not found[0], "another key is another head"
