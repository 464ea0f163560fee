"""Requests as they leave and answers as they come, whole and byte by byte."""

import asyncio

import pytest

from proxy.base.errors import BadRequest, Malformed, OperatorError
from proxy.core.outgoing import Outgoing
from tests.fakes.raw_vendor import LAST_CHUNK, Peer, RawVendor, answer, chunked, say
from tests.unit.upstream.calls import SOON, Connect, fetch, get, post

ANSWERS = {
    "length": (answer(b"hello"), b"hello"),
    "empty": (answer(b""), b""),
    "chunked": (chunked(b"he", b"llo") + LAST_CHUNK, b"hello"),
    "chunked empty": (chunked() + LAST_CHUNK, b""),
    "trailers": (chunked(b"hello") + b"0\r\nX-Sum: 1\r\nSet-Cookie: no\r\n\r\n", b"hello"),
    "extension": (chunked() + b"5;a=b\r\nhello\r\n" + LAST_CHUNK, b"hello"),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(b"hi"),
        b"hi",
    ),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", b""),
    "old and kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
        b"hi",
    ),
    "lower case": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"a",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "bytes"])
async def test_answers_are_read_and_the_connection_kept(
    connect: Connect, name: str, whole: bool
) -> None:
    raw, body = ANSWERS[name]

    async def script(peer: Peer) -> None:
        for _ in range(2):
            await peer.request()
            if whole:
                peer.say(raw)
            else:
                await peer.drip(raw)
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        for _ in range(2):
            got = await transport.send(post(), SOON)
            assert await got.read(100) == body
        assert vendor.accepted == 1
        stats = transport.stats()
        assert (stats.open, stats.idle, stats.waiting) == (1, 1, 0)


async def test_the_request_has_our_fields_and_the_callers(connect: Connect) -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            head, body = await peer.request()
            seen.append(head + body)
            peer.say(answer(b""))

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        host = f"Host: 127.0.0.1:{vendor.port}\r\n".encode()
        await fetch(transport, post(b'{"a":1}', [(b"x-b", b"1"), (b"X-B", b"\xff"), (b"e", b"")]))
        await fetch(transport, post(b""))
        await fetch(transport, get())
        await fetch(transport, Outgoing("DELETE", "/v1/files/1", (), b""))
        await fetch(transport, Outgoing("DELETE", "/v1/files/1", (), b"x"))
    assert seen == [
        b"POST /v1/chat/completions?x=1 HTTP/1.1\r\n"
        + host
        + b'x-b: 1\r\nX-B: \xff\r\ne: \r\nContent-Length: 7\r\n\r\n{"a":1}',
        b"POST /v1/chat/completions?x=1 HTTP/1.1\r\n"
        + host
        + b"X-Key: abc\r\nContent-Length: 0\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\n" + host + b"\r\n",
        b"DELETE /v1/files/1 HTTP/1.1\r\n" + host + b"\r\n",
        b"DELETE /v1/files/1 HTTP/1.1\r\n" + host + b"Content-Length: 1\r\n\r\nx",
    ]


async def test_a_large_body_arrives_whole(connect: Connect) -> None:
    sent = bytes(range(256)) * 20_000
    got: list[bytes] = []

    async def script(peer: Peer) -> None:
        for _ in range(2):
            got.append((await peer.request())[1])
            peer.say(answer(b"ok"))
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        for _ in range(2):
            assert await fetch(transport, post(sent)) == b"ok"
        assert vendor.accepted == 1
    assert got == [sent, sent]


async def test_head_and_small_body_are_one_read(connect: Connect) -> None:
    got: list[bytes] = []

    async def script(peer: Peer) -> None:
        got.append(await peer._reader.read(1 << 16))
        peer.say(answer(b"ok"))
        await peer.gone()

    async with RawVendor(script) as vendor:
        await fetch(connect(vendor.origin), post(b"x" * 1000))
    assert got[0].endswith(b"\r\n\r\n" + b"x" * 1000)


async def test_the_head_of_an_answer_is_passed_as_it_came(connect: Connect) -> None:
    raw = answer(b"", b"X-a:  1", b"x-A: \xe9", b"Empty:", status=b"429 Slow")
    async with RawVendor(say(raw)) as vendor:
        got = await connect(vendor.origin).send(post(), SOON)
        assert got.status == 429
        assert list(got.headers) == [
            (b"X-a", b"1"),
            (b"x-A", b"\xe9"),
            (b"Empty", b""),
            (b"Content-Length", b"0"),
        ]


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_an_answer_to_head_has_no_body_and_keeps_the_connection(
    connect: Connect, raw: bytes
) -> None:
    async with RawVendor(say(raw, answer(b"body"), raw, answer(b"more"))) as vendor:
        transport = connect(vendor.origin)
        for after in (b"body", b"more"):
            head = await transport.send(get("HEAD"), SOON)
            await head.ready()
            assert head.take() == b""
            assert await fetch(transport) == after
        assert vendor.accepted == 1


async def test_a_body_after_the_answer_to_head_is_surplus(connect: Connect) -> None:
    async with RawVendor(say(answer(b"five!"))) as vendor:
        transport = connect(vendor.origin)
        assert await fetch(transport, get("HEAD")) == b""
        assert transport.stats().open == 0


@pytest.mark.parametrize("bad", [b"a\r\nX-Evil: 1", b"a\nb", b"a\rb", b"a\0b"])
async def test_fields_that_break_the_head_are_refused(connect: Connect, bad: bytes) -> None:
    async with RawVendor(say()) as vendor:
        transport = connect(vendor.origin)
        with pytest.raises(OperatorError, match="X-Ok"):
            await transport.send(post(headers=[(b"X-Ok", bad)]), SOON)
        with pytest.raises(OperatorError):
            await transport.send(post(headers=[(bad, b"value")]), SOON)
        assert vendor.accepted == 0


async def test_the_words_about_a_bad_field_hide_its_value(connect: Connect) -> None:
    async with RawVendor(say()) as vendor:
        with pytest.raises(OperatorError) as caught:
            await connect(vendor.origin).send(post(headers=[(b"Auth", b"sk-secret\n")]), SOON)
    assert "sk-secret" not in caught.value.message


@pytest.mark.parametrize("target", ["v1", "/a b", "/a\r\nX: 1", "/é", "/\x00", "", "http://x/"])
async def test_targets_that_break_the_request_line_are_refused(
    connect: Connect, target: str
) -> None:
    async with RawVendor(say()) as vendor:
        with pytest.raises(BadRequest):
            await connect(vendor.origin).send(Outgoing("GET", target, (), b""), SOON)
        with pytest.raises(BadRequest):
            await connect(vendor.origin).send(Outgoing("GE T", "/", (), b""), SOON)
        assert vendor.accepted == 0


async def test_many_requests_at_once_do_not_mix(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        while True:
            _, body = await peer.request()
            peer.say(chunked(body, body) + LAST_CHUNK)

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)

        async def ask(word: bytes) -> None:
            for _ in range(5):
                assert await fetch(transport, post(word)) == word * 2

        await asyncio.gather(*[ask(b"%d" % number) for number in range(50)])
        assert vendor.accepted == 50


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"]
)
async def test_switching_protocols_is_malformed(connect: Connect, interim: bytes) -> None:
    async with RawVendor(say(interim)) as vendor:
        with pytest.raises(Malformed, match="101"):
            await fetch(connect(vendor.origin))
