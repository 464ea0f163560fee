"""Deadlines: each phase has its own, all fire between T and 1.25 T, silence alone lets them."""

import asyncio
import socket
from dataclasses import replace

import pytest

from proxy.base.clock import monotonic
from proxy.base.errors import TimedOut, Unreachable
from proxy.core.outgoing import Timeouts
from proxy.upstream.origin import Origin
from proxy.upstream.pool import PoolLimits
from tests.fakes.raw_vendor import Peer, RawVendor, answer, chunked, say
from tests.unit.upstream.calls import SOON, Connect, Pieces, fetch, post, turns, until

T = 0.3
EARLIEST = T - 0.005  # The timers of a loop count in milliseconds.
LATEST = T * 1.25 + 0.25  # A busy machine may be late; never early.


class Stopwatch:
    """Checks that what is inside raises TimedOut of this phase in its time."""

    def __init__(self, phase: str) -> None:
        self._phase = phase
        self._start = monotonic()

    def __enter__(self) -> None:
        self._start = monotonic()

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> bool:
        took = monotonic() - self._start
        assert isinstance(error, TimedOut), error
        assert error.phase == self._phase
        assert EARLIEST <= took <= LATEST
        return True


async def silent(peer: Peer) -> None:
    await peer.gone()


async def test_no_head(connect: Connect) -> None:
    async with RawVendor(silent) as vendor:
        transport = connect(vendor.origin)
        with Stopwatch("first_token"):
            await transport.send(post(), replace(SOON, first_token=T))
        assert transport.stats().open == 0
        await until(lambda: vendor.open == 0)


async def test_a_head_without_a_body_is_not_a_first_token(connect: Connect) -> None:
    async with RawVendor(say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as vendor:
        transport = connect(vendor.origin)
        with Stopwatch("first_token"):
            got = await transport.send(post(), replace(SOON, first_token=T, idle=0.05))
            await got.ready()
        assert transport.stats().open == 0


async def test_silence_within_the_body(connect: Connect) -> None:
    async with RawVendor(say(chunked(b"a"))) as vendor:
        transport = connect(vendor.origin)
        with Stopwatch("idle"):
            got = await transport.send(post(), replace(SOON, idle=T))
            await got.pump(lambda data: None)
        assert transport.stats().open == 0


async def test_dripping_is_not_silence_but_ends_in_all(connect: Connect) -> None:
    async def drip(peer: Peer) -> None:
        await peer.request()
        peer.say(chunked(b"a"))
        while True:
            peer.say(b"1\r\nx\r\n")
            await peer.drain()
            await asyncio.sleep(0.01)

    async with RawVendor(drip) as vendor:
        transport = connect(vendor.origin)
        with Stopwatch("total"):
            got = await transport.send(post(), Timeouts(1, 0.1, 0.1, T))
            await got.pump(lambda data: None)


async def test_a_deadline_passes_while_nobody_waits_for_the_answer(connect: Connect) -> None:
    async with RawVendor(say(chunked(b"a"))) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), replace(SOON, idle=0.05))
        await until(lambda: transport.stats().open == 0)
        seen: list[bytes] = []
        with pytest.raises(TimedOut):
            await got.pump(seen.append)
        assert seen == [b"a"]


async def test_the_words_name_the_place_and_the_time(connect: Connect) -> None:
    async with RawVendor(silent) as vendor:
        with pytest.raises(TimedOut, match=rf"127\.0\.0\.1:{vendor.port} within 0\.05 s"):
            await connect(vendor.origin).send(post(), replace(SOON, first_token=0.05))


async def test_a_vendor_that_takes_no_more_of_an_upload(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        peer.stop_reading()
        await asyncio.Event().wait()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        upload = Pieces(b"x" * 65536 for _ in range(10_000))
        with pytest.raises(TimedOut) as caught:
            await transport.send(post(upload), replace(SOON, idle=T, first_token=0.05))
        assert caught.value.phase == "idle"
        assert upload.closed
        assert transport.stats().open == 0


async def test_a_client_that_is_slow_to_upload_is_not_the_vendors_silence(
    connect: Connect,
) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        peer.say(answer((await peer.request())[1]))
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        asyncio.get_running_loop().call_later(0.3, go.set)
        got = await transport.send(
            post(Pieces([b"a", go, b"b"])), replace(SOON, idle=0.1, first_token=0.1)
        )
        assert await got.read(9) == b"ab"


async def test_no_answer_after_an_upload(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with RawVendor(script) as vendor:
        with Stopwatch("first_token"):
            await connect(vendor.origin).send(post(Pieces([b"a"])), replace(SOON, first_token=T))


async def test_connecting_has_a_deadline(connect: Connect) -> None:
    """A listener whose backlog is full leaves new connections hanging."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        transport = connect(Origin("http", "127.0.0.1", port))
        try:
            with Stopwatch("connect"):
                await transport.send(post(), replace(SOON, connect=T))
            with Stopwatch("total"):
                await transport.send(post(), replace(SOON, total=T))
        finally:
            for filler in fillers:
                filler.close()
        assert transport.stats().open == 0


async def test_a_full_pool_is_named(connect: Connect) -> None:
    async with RawVendor(say(chunked(b"a"))) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=1))
        held = await transport.send(post(), SOON)
        start = monotonic()
        with pytest.raises(Unreachable, match=r"pool\.max_connections") as caught:
            await transport.send(post(), replace(SOON, connect=T))
        assert EARLIEST <= monotonic() - start <= LATEST
        assert not caught.value.sent
        assert transport.stats().waiting == 0
        held.abort()


async def test_a_short_deadline_beside_long_ones(connect: Connect) -> None:
    async with RawVendor(say(chunked(b"a"))) as vendor:
        transport = connect(vendor.origin)
        patient = await transport.send(post(), SOON)
        with Stopwatch("first_token"):
            async with RawVendor(silent) as other:
                await connect(other.origin).send(post(), replace(SOON, first_token=T))
        with Stopwatch("idle"):
            hasty = await transport.send(post(), replace(SOON, idle=T))
            await hasty.pump(lambda data: None)
        patient.abort()


async def test_idle_transports_keep_no_timer(connect: Connect) -> None:
    async with RawVendor(say(answer(b"a"), answer(b"b"))) as vendor:
        transport = connect(vendor.origin)
        await fetch(transport)
        await until(lambda: transport._sweep._handle is None)
        assert await fetch(transport) == b"b"
        await turns()
