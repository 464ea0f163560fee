"""The answer in its reader's hands: ready, read, take, pump, pause, resume, abort."""

import asyncio
import gzip

import pytest

from proxy.base.errors import Cut, Malformed
from proxy.core.outgoing import Timeouts
from proxy.upstream.answer import HELD_LIMIT
from tests.fakes.raw_vendor import LAST_CHUNK, Peer, RawVendor, answer, chunked, say
from tests.unit.upstream.calls import SOON, Connect, fetch, post, start, turns, until

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def test_take_gives_a_small_answer_at_once_and_only_when_whole(connect: Connect) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(answer(b"whole"))
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwh")
        await go.wait()
        peer.say(b"ole")
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), SOON)
        assert got.take() == b"whole"
        got = await transport.send(post(), SOON)
        assert got.take() is None
        await got.ready()
        assert got.take() is None
        go.set()
        assert await got.read(10) == b"whole"


async def test_one_sink_call_per_read_however_many_chunks_it_holds(connect: Connect) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD)
        await go.wait()
        peer.say(chunk(b"a") + chunk(b"b") + chunk(b"c"))
        await peer.drain()
        await until(lambda: len(seen) == 1)
        peer.say(chunk(b"d") + LAST_CHUNK)
        await peer.gone()

    seen: list[bytes] = []
    async with RawVendor(script) as vendor:
        got = await connect(vendor.origin).send(post(), SOON)
        pump = start(got.pump(seen.append))
        await turns()
        go.set()
        await pump
    assert seen == [b"abc", b"d"]


async def test_ready_waits_for_the_body_and_not_for_the_head(connect: Connect) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD)
        await go.wait()
        peer.say(chunk(b"a"))
        await peer.gone()

    async with RawVendor(script) as vendor:
        got = await connect(vendor.origin).send(post(), SOON)
        ready = start(got.ready())
        await turns()
        assert not ready.done()
        go.set()
        await ready
        got.abort()


async def test_what_nobody_pumps_is_held_up_to_a_bound(connect: Connect) -> None:
    size = 64 * 1024 * 1024
    said = 0

    async def script(peer: Peer) -> None:
        nonlocal said
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while said < size:
            peer.say(b"x" * 65536)
            said += 65536
            await peer.drain()
        await peer.gone()

    async with RawVendor(script) as vendor:
        got = await connect(vendor.origin).send(post(), SOON)
        await got.ready()
        before = -1
        while before != said:
            before = said
            await asyncio.sleep(0.05)
        assert said < size / 2
        held = got._held_size
        assert HELD_LIMIT <= held < HELD_LIMIT + (1 << 20)
        for _ in range(5):
            got.pause()
            got.resume()  # Nobody pumps: the bound still holds.
            await turns()
        assert got._held_size == held
        total = 0

        def count(data: bytes) -> None:
            nonlocal total
            total += len(data)

        await got.pump(count)
        assert total == size


async def test_pause_stops_the_vendor_and_the_idle_clock(connect: Connect) -> None:
    stalled = Timeouts(connect=5, first_token=5, idle=0.1, total=10)
    size = 32 * 1024 * 1024
    said = 0

    async def script(peer: Peer) -> None:
        nonlocal said
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while said < size:
            peer.say(b"x" * 65536)
            said += 65536
            await peer.drain()
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), stalled)
        total = 0

        def sink(data: bytes) -> None:
            nonlocal total
            total += len(data)
            got.pause()
            got.pause()

        pump = start(got.pump(sink))
        await asyncio.sleep(0.4)  # Four times the idle deadline.
        assert not pump.done()
        assert 0 < total < size
        assert said < size
        while not pump.done():
            got.resume()
            got.resume()
            await asyncio.sleep(0)
        await pump
        assert total == size
        assert transport.stats().idle == 1


async def test_an_answer_that_ends_while_paused_gives_a_clean_connection_back(
    connect: Connect,
) -> None:
    async with RawVendor(say(answer(b"one"), answer(b"two"))) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), SOON)
        got.pause()
        assert await got.read(9) == b"one"
        got.pause()  # Too late to touch the connection of the next request.
        assert await fetch(transport) == b"two"
        got.abort()
        got.resume()
        assert transport.stats().idle == 1
        assert vendor.accepted == 1


async def test_a_pause_in_the_last_read_does_not_outlive_the_answer(connect: Connect) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD)
        await go.wait()
        peer.say(chunk(b"a") + LAST_CHUNK)
        await peer.request()
        peer.say(answer(b"two"))
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), SOON)
        pump = start(got.pump(lambda data: got.pause()))
        await turns()
        go.set()
        await pump
        assert await fetch(transport) == b"two"
        assert vendor.accepted == 1


async def test_a_sink_that_raises_ends_the_pump_with_its_error(connect: Connect) -> None:
    def sink(data: bytes) -> None:
        raise LookupError("broken sink")

    for held in (False, True):
        go = asyncio.Event()

        async def script(peer: Peer, go: asyncio.Event = go) -> None:
            await peer.request()
            peer.say(HEAD)
            await go.wait()
            peer.say(chunk(b"a"))
            await peer.gone()

        async with RawVendor(script) as vendor:
            transport = connect(vendor.origin)
            got = await transport.send(post(), SOON)
            if held:
                go.set()
                await got.ready()
            pump = start(got.pump(sink))
            await turns()
            go.set()
            with pytest.raises(LookupError, match="broken sink"):
                await pump
            assert transport.stats().open == 0


async def test_a_sink_may_abort_in_the_read_that_ends_the_body(connect: Connect) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD)
        await go.wait()
        peer.say(chunk(b"a") + LAST_CHUNK)
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), SOON)
        pump = start(got.pump(lambda data: got.abort()))
        await turns()
        go.set()
        with pytest.raises(Cut):
            await pump
        assert transport.stats().open == 0
        await until(lambda: vendor.open == 0)


async def test_abort_closes_the_connection_at_once(connect: Connect) -> None:
    async with RawVendor(say(chunked(b"a"))) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), SOON)
        got.abort()
        got.abort()
        assert transport.stats().open == 0
        await until(lambda: vendor.open == 0)
        with pytest.raises(Cut):
            await got.pump(lambda data: None)


async def test_the_connection_is_back_before_pump_returns(connect: Connect) -> None:
    go = asyncio.Event()
    idle: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(chunked(b"a"))
        await go.wait()
        peer.say(LAST_CHUNK)
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), SOON)
        pump = start(got.pump(lambda data: None))
        pump.get_loop().call_soon(go.set)
        while not pump.done():
            await asyncio.sleep(0)
            idle.append(transport.stats().idle)
        await pump
    assert idle[-1] == 1


async def test_two_pumps_at_once_are_a_bug(connect: Connect) -> None:
    async with RawVendor(say(HEAD)) as vendor:
        got = await connect(vendor.origin).send(post(), SOON)
        pump = start(got.pump(lambda data: None))
        await turns()
        with pytest.raises(RuntimeError):
            await got.pump(lambda data: None)
        got.abort()
        with pytest.raises(Cut):
            await pump


async def test_read_undoes_gzip_and_pump_does_not(connect: Connect) -> None:
    packed = gzip.compress(b"hello")
    raw = answer(packed, b"Content-Encoding: gzip")
    async with RawVendor(say(raw, raw, raw)) as vendor:
        transport = connect(vendor.origin)
        assert await fetch(transport) == b"hello"
        seen: list[bytes] = []
        await (await transport.send(post(), SOON)).pump(seen.append)
        assert b"".join(seen) == packed
        got = await transport.send(post(), SOON)
        await got.ready()
        assert got.take() == packed
        assert vendor.accepted == 1


async def test_read_is_bounded_and_gives_up_the_connection(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD)
        while True:
            peer.say(chunk(b"x" * 1000))
            await peer.drain()
            await asyncio.sleep(0)

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), SOON)
        with pytest.raises(Malformed, match="5000"):
            await got.read(5000)
        assert transport.stats().open == 0


@pytest.mark.parametrize("coding", [b"zstd", b"gzip, br", b"compress"])
async def test_read_refuses_unknown_codings_and_gives_up_the_connection(
    connect: Connect, coding: bytes
) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: 5\r\n\r\n" % coding
    async with RawVendor(say(raw)) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), SOON)
        with pytest.raises(Malformed):
            await got.read(100)
        assert transport.stats().open == 0


async def test_who_pumps_second_is_told_so_and_the_first_goes_on(connect: Connect) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD)
        await go.wait()
        peer.say(chunk(b"a") + LAST_CHUNK)
        await peer.gone()

    first: list[bytes] = []
    second: list[bytes] = []
    async with RawVendor(script) as vendor:
        got = await connect(vendor.origin).send(post(), SOON)
        pump = start(got.pump(first.append))
        await turns()
        with pytest.raises(RuntimeError, match="pumped already"):
            await got.pump(second.append)
        go.set()
        await pump
    assert (first, second) == ([b"a"], [])
