"""How bodies end: as declared, with the connection, or not as they should."""

import asyncio

import pytest

from proxy.base.errors import Cut, Malformed, Reset, UpstreamError
from tests.fakes.raw_vendor import LAST_CHUNK, Peer, RawVendor, answer, chunked
from tests.unit.upstream.calls import SOON, Connect, fetch, post, turns

UNTIL_END = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
OLD = b"HTTP/1.0 200 OK\r\n\r\nhello"
SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"
OPEN_CHUNKS = chunked(b"he", b"llo")


def ending(raw: bytes, how: str, *, whole: bool = True) -> RawVendor:
    """A vendor that says this and then ends the connection in that way."""

    async def script(peer: Peer) -> None:
        await peer.request()
        if whole:
            peer.say(raw)
        else:
            await peer.drip(raw)
        await peer.drain()
        await asyncio.sleep(0.01 if how == "reset" else 0)  # RST overtakes what is in the socket.
        getattr(peer, how)()
        await peer.gone()

    return RawVendor(script)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("how", ["close", "finish"])
@pytest.mark.parametrize("raw", [UNTIL_END, OLD])
async def test_a_body_without_length_ends_with_the_connection(
    connect: Connect, raw: bytes, how: str, whole: bool
) -> None:
    async with ending(raw, how, whole=whole) as vendor:
        transport = connect(vendor.origin)
        assert await fetch(transport) == b"hello"
        assert transport.stats().open == 0


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("how", ["close", "finish", "reset"])
@pytest.mark.parametrize(
    "raw", [SHORT, OPEN_CHUNKS, OPEN_CHUNKS + b"0\r\n", OPEN_CHUNKS + b"5\r\nab"]
)
async def test_a_body_that_ends_early_is_cut(
    connect: Connect, raw: bytes, how: str, whole: bool
) -> None:
    async with ending(raw, how, whole=whole) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), SOON)
        seen: list[bytes] = []
        with pytest.raises(Cut):
            await got.pump(seen.append)
        assert b"".join(seen).startswith(b"hello")
        assert transport.stats().open == 0


async def test_a_reset_is_never_a_clean_end(connect: Connect) -> None:
    async with ending(UNTIL_END, "reset") as vendor:
        got = await connect(vendor.origin).send(post(), SOON)
        with pytest.raises(Cut):
            await got.pump(lambda data: None)


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 104 Odd\r\nContent-Length: 2\r\n\r\nhi" + answer(b""),
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 12_000 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3_000,
    ],
)
@pytest.mark.parametrize("whole", [True, False])
async def test_heads_that_are_not_http_are_malformed(
    connect: Connect, raw: bytes, whole: bool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if whole:
            peer.say(raw)
        else:
            await peer.drip(raw, size=1 if len(raw) < 1000 else 1000)
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        with pytest.raises(Malformed):
            await transport.send(post(), SOON)
        assert transport.stats().open == 0
        assert vendor.accepted == 1


@pytest.mark.parametrize(
    "bad",
    [
        b"zz\r\nhi\r\n",
        b"-1\r\n",
        b"fffffffffffffffff\r\n",
        b"2\r\nhiX\r\n",
        b"2\nhi\n",
        b"1;" + b"x" * 70_000,
        b"0\r\nTrailer: " + b"x" * 70_000,
        b"0\r\n" + b"A: b\r\n" * 12_000,
    ],
)
async def test_chunks_that_are_not_chunks_are_malformed(connect: Connect, bad: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(chunked(b"good"))
        await peer.drain()
        for at in range(0, len(bad), 1000):
            peer.say(bad[at : at + 1000])
            await peer.drain()
            await asyncio.sleep(0)
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), SOON)
        seen: list[bytes] = []
        with pytest.raises(Malformed):
            await got.pump(seen.append)
        assert b"".join(seen).startswith(b"good")
        assert transport.stats().open == 0


async def test_framing_of_a_long_stream_does_not_add_up(connect: Connect) -> None:
    piece = chunked(b"x").partition(b"\r\n\r\n")[2]

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(chunked())
        for _ in range(300):
            peer.say(b"1;" + b"e" * 400 + b"\r\n")  # 120 kB of framing in all.
            await turns(4)  # A read of its own on the other side.
            peer.say(b"x\r\n" + piece)
            await turns(4)
        peer.say(LAST_CHUNK)
        await peer.gone()

    async with RawVendor(script) as vendor:
        assert await fetch(connect(vendor.origin)) == b"x" * 600


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"])
@pytest.mark.parametrize("how", ["close", "finish", "reset"])
async def test_an_end_before_the_head_is_a_reset(connect: Connect, raw: bytes, how: str) -> None:
    async with ending(raw, how) as vendor:
        with pytest.raises(Reset):
            await fetch(connect(vendor.origin))


async def test_what_came_before_an_error_is_delivered_first(connect: Connect) -> None:
    async with ending(OPEN_CHUNKS, "close") as vendor:
        got = await connect(vendor.origin).send(post(), SOON)
        await got.ready()
        await asyncio.sleep(0.02)  # The end is here as well.
        await got.ready()
        assert got.take() is None
        seen: list[bytes] = []
        with pytest.raises(Cut):
            await got.pump(seen.append)
        assert b"".join(seen) == b"hello"
        with pytest.raises(UpstreamError):
            await got.ready()
