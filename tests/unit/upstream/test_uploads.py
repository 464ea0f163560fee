"""Request bodies that are not held in memory."""

import asyncio
from collections.abc import Iterator

import pytest

from proxy.base.errors import InternalError, Reset, TooLarge
from tests.fakes.raw_vendor import LAST_CHUNK, Peer, RawVendor, answer, chunked
from tests.unit.upstream.calls import SOON, Connect, Pieces, fetch, post, start, until


async def echo(peer: Peer) -> None:
    while True:
        head, body = await peer.request()
        kind = b"chunked" if b"Transfer-Encoding: chunked" in head else b"length"
        peer.say(answer(kind + b" " + body))


@pytest.mark.parametrize("pieces", [[], [b""], [b"abc"], [b"a", b"", b"bc"]])
@pytest.mark.parametrize("known", [False, True])
async def test_uploads_arrive_whole_and_keep_the_connection(
    connect: Connect, pieces: list[bytes], known: bool
) -> None:
    whole = b"".join(pieces)
    async with RawVendor(echo) as vendor:
        transport = connect(vendor.origin)
        for _ in range(2):
            upload = Pieces(pieces, len(whole) if known else None)
            got = await fetch(transport, post(upload))
            assert got == (b"length " if known else b"chunked ") + whole
            assert upload.closed
        assert vendor.accepted == 1


async def test_a_large_upload_waits_for_a_slow_vendor(connect: Connect) -> None:
    taken = 0
    go = asyncio.Event()

    def generate() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield b"x" * 65536

    async def script(peer: Peer) -> None:
        await peer.head()
        peer.stop_reading()
        await go.wait()
        peer.read_on()
        await peer.take(1000 * 65536)
        peer.say(answer(b"all"))
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        body = Pieces(generate(), 1000 * 65536)
        task = start(fetch(transport, post(body)))
        before = -1
        while before != taken or taken == 0:
            before = taken
            await asyncio.sleep(0.05)
        assert taken < 500
        go.set()
        assert await task == b"all"
        assert taken == 1000


@pytest.mark.parametrize(("length", "word"), [(4, "shorter"), (2, "longer")])
async def test_an_upload_of_the_wrong_length_is_aborted(
    connect: Connect, length: int, word: str
) -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.head()
        seen.append(await peer._reader.read(100))
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        with pytest.raises(InternalError, match=word):
            await transport.send(post(Pieces([b"a", b"bc"], length)), SOON)
        assert transport.stats().open == 0
        await until(lambda: vendor.open == 0)
    assert len(seen[0]) < max(length, 3)


@pytest.mark.parametrize("length", [None, 100])
async def test_what_the_upload_raises_comes_out_as_it_is(
    connect: Connect, length: int | None
) -> None:
    error = TooLarge("the body is too large")
    async with RawVendor(echo) as vendor:
        transport = connect(vendor.origin)
        upload = Pieces([b"a", error], length)
        with pytest.raises(TooLarge) as caught:
            await transport.send(post(upload), SOON)
        assert caught.value is error
        assert upload.closed
        assert transport.stats().open == 0
        await until(lambda: vendor.open == 0)


@pytest.mark.parametrize("rest", [b"", b"more"])
async def test_an_answer_before_the_end_of_the_upload(connect: Connect, rest: bytes) -> None:
    never = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n" % len(rest) + rest)
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        upload = Pieces([b"a", never])
        got = await transport.send(post(upload), SOON)
        assert got.status == 413
        assert upload.closed
        assert await got.read(100) == rest
        assert transport.stats().open == 0


async def test_an_early_answer_may_stream_on(connect: Connect) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        peer.say(chunked(b"a"))
        await go.wait()
        peer.say(b"1\r\nb\r\n" + LAST_CHUNK)
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(Pieces([asyncio.Event()])), SOON)
        go.set()
        assert await got.read(9) == b"ab"
        assert transport.stats().open == 0


async def test_the_vendor_goes_during_the_upload(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.take(1000)
        peer.reset()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        upload = Pieces(b"x" * 65536 for _ in range(1000))
        with pytest.raises(Reset):
            await transport.send(post(upload), SOON)
        assert upload.closed


async def test_cancelling_stops_the_upload(connect: Connect) -> None:
    never = asyncio.Event()
    async with RawVendor(echo) as vendor:
        transport = connect(vendor.origin)
        upload = Pieces([b"a", never])
        task = start(transport.send(post(upload), SOON))
        await until(lambda: upload.started)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert upload.closed
        assert transport.stats().open == 0
        await until(lambda: vendor.open == 0)
