"""The fault run's view of an answer: what is owed a record, and what was not as ordered."""

import asyncio

import pytest

from bench import ordered, vendor
from bench.faults_answers import Book, End
from bench.faults_requests import KINDS, Ask, Kind, Used, asks
from bench.requests import chat_body

USED = Used(120, 33, 64, 10)
ORDER = b"whole 120 33 64 10"
DONE = b"data: [DONE]\n\n"


def ask(name: str, used: Used | None = USED) -> Ask:
    return Ask(b"", kind(name), 0, used)


def kind(name: str) -> Kind:
    return next(each for each in KINDS if each.name == name)


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def order(text: bytes) -> ordered.Order:
    read = ordered.read(text)
    assert read is not None
    return read


def events(text: bytes, *, asked: bool) -> bytes:
    """The end of a stream, without HTTP's framing."""
    end = order(text).stream_end(asked=asked)
    assert end is not None
    return b"".join(line + b"\n\n" for line in end.splitlines() if line.startswith(b"data: "))


def test_an_order_says_what_was_used() -> None:
    book = Book()
    book.add(ask("plain"), "a", 200, body_of(order(ORDER).plain()), whole=True)
    book.add(ask("streamed"), "b", 200, events(ORDER, asked=True), whole=True)
    hidden = events(ORDER, asked=False)
    book.add(ask("streamed, usage hidden"), "c", 200, hidden, whole=True)
    assert book.wrong == {}
    assert [answer.cost for answer in book.answers.values()] == [USED.cost()] * 3


@pytest.mark.parametrize("text", [b"", b"nonsense", b"whole 1 2 x 4", b"\xff"])
def test_what_is_no_order_is_none(text: bytes) -> None:
    assert ordered.read(text) is None


@pytest.mark.parametrize(
    ("name", "request_id", "status", "body", "whole", "end"),
    [
        ("plain", "a", 200, b"{}", True, "whole"),
        ("plain", "a", 200, b"{", False, "broken"),
        ("plain", "", 0, b"", False, "unanswered"),
        ("vendor's error", "a", 500, b"{}", True, "told"),
        ("vendor's error", "a", 500, b"{", False, "broken"),
        ("streamed", "a", 200, DONE, True, "whole"),
        ("streamed", "a", 200, DONE, False, "whole"),  # Its client has all of it.
        ("streamed", "a", 200, b"data: {}\n\n", True, "ended"),
        ("streamed", "a", 200, b"data: {}\n\n", False, "broken"),
    ],
)
def test_how_an_answer_ended(
    name: str, request_id: str, status: int, body: bytes, whole: bool, end: End
) -> None:
    book = Book()
    book.add(ask(name), request_id, status, body, whole=whole)
    assert book.ends == {end: 1}
    assert (request_id in book.answers) == (end in {"whole", "told", "ended"})


@pytest.mark.parametrize(
    ("name", "status", "body", "says"),
    [
        ("plain", 503, b"{}", "status 503 instead of 200"),
        ("vendor's error", 502, b"{}", "status 502 instead of 500"),
        ("plain", 200, body_of(order(b"whole 1 33 64 10").plain()), "usage"),
        ("plain", 200, body_of(order(b"bare").plain()), "usage"),
        ("plain", 200, b'{"usage":{"prompt_tokens":', "usage"),
        ("streamed, usage hidden", 200, events(ORDER, asked=True), "usage"),
        ("streamed", 200, b"data: {}\n\n", "ended early"),
        ("streamed, cut", 200, DONE, "looks whole"),
        ("streamed", 200, b'data: {"content":"000001 "}\n\n' + DONE, "out of order"),
    ],
)
def test_what_was_not_as_ordered(name: str, status: int, body: bytes, says: str) -> None:
    book = Book()
    book.add(ask(name), "a", status, body, whole=True)
    assert any(says in wrong for wrong in book.wrong)


def test_an_id_that_comes_twice_is_wrong() -> None:
    book = Book()
    for _ in range(2):
        book.add(ask("vendor's error"), "a", 500, b"{}", whole=True)
    assert book.wrong.total() == 1


def test_a_seed_always_asks_the_same() -> None:
    one, other = asks("host", 3, 5), asks("host", 3, 5)
    assert [next(one).data for _ in range(50)] == [next(other).data for _ in range(50)]


@pytest.mark.parametrize(
    ("text", "stream", "ends"),
    [
        (b"whole 120 33 64 10", False, b"}"),
        (b"whole 120 33 64 10", True, b"0\r\n\r\n"),
        (b"error", True, b"}}"),
        (b"cut", False, None),
        (b"cut", True, None),
    ],
)
async def test_the_vendor_does_as_ordered(text: bytes, stream: bool, ends: bytes | None) -> None:
    server = await vendor.start()
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = chat_body(1, "any", stream=stream)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n" % len(body)
        writer.write(head + b"x-bench-answer: " + text + b"\r\n\r\n" + body)
        if ends is None:
            got = await reader.read()  # Until the vendor hangs up.
            assert got.startswith(b"HTTP/1.1 200")
            assert b"[DONE]" not in got
            assert b'"finish_reason":"stop"' not in got
        else:
            got = await reader.readuntil(ends)
        writer.close()
        await writer.wait_closed()
