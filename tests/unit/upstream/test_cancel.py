"""Cancelled at every turn of the loop: nothing stays open, no place stays taken."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.base.errors import Cut
from proxy.upstream.pool import PoolLimits
from tests.fakes.raw_vendor import LAST_CHUNK, Peer, RawVendor, answer, chunked
from tests.unit.upstream.calls import SOON, Connect, Pieces, fetch, post, start, until


async def slow(peer: Peer) -> None:
    """Everything in small steps, so that there are many turns to be cancelled in."""
    while True:
        _, body = await peer.request()
        raw = chunked(b"a", body, b"c") + LAST_CHUNK
        for at in range(0, len(raw), 12):
            peer.say(raw[at : at + 12])
            await peer.drain()
            await asyncio.sleep(0)


@pytest.mark.parametrize("kind", ["read", "ready", "upload", "warm", "full"])
async def test_cancel_at_every_turn(connect: Connect, kind: str) -> None:
    async with RawVendor(slow) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=1 if kind == "full" else 9))

        async def one() -> None:
            body = Pieces([b"x", b"y", b"z"], 3) if kind == "upload" else b"xyz"
            got = await transport.send(post(body), SOON)
            if kind == "ready":
                await got.ready()
            assert await got.read(100) == b"axyzc"

        finished = False
        for turn in range(400):
            if kind in ("warm", "full"):
                await fetch(transport)
            held = await transport.send(post(), SOON) if kind == "full" else None
            task = start(one())
            for at in range(turn):
                if held is not None and at == 3:
                    held.abort()
                if task.done():
                    finished = True
                    break
                await asyncio.sleep(0)
            task.cancel()
            result = await asyncio.gather(task, return_exceptions=True)
            assert result[0] is None or isinstance(result[0], asyncio.CancelledError), result
            if held is not None:
                held.abort()
            stats = transport.stats()
            assert stats.open == stats.idle
            assert stats.waiting == 0
            if finished:
                break
        assert finished
        await until(lambda: vendor.open == transport.stats().open)


async def test_cancelling_the_pump_aborts(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(chunked(b"a"))
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(), SOON)
        task = start(got.pump(lambda data: None))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert transport.stats().open == 0
        await until(lambda: vendor.open == 0)
        with pytest.raises(Cut):
            await got.ready()


async def test_cancelled_when_the_answer_is_here_but_not_yet_taken(connect: Connect) -> None:
    """The connection is another request's by then and must stay alive."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.say(answer(b"ok"))

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        await fetch(transport)
        task = start(transport.send(post(), SOON))
        await asyncio.sleep(0)
        while transport.stats().idle == 0:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await fetch(transport) == b"ok"
        assert vendor.accepted == 1


async def test_cancelled_when_the_head_is_here_and_the_body_is_not(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(chunked(b"a"))
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        task = start(transport.send(post(), SOON))
        live = transport._pool.live
        while not any(one._answer for one in live):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert transport.stats().open == 0


async def test_an_upload_that_is_slow_to_let_go(connect: Connect) -> None:
    begun = asyncio.Event()

    class Stubborn(Pieces):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            begun.set()
            try:
                yield b"x"
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                self.closed = True

    async with RawVendor(slow) as vendor:
        transport = connect(vendor.origin)
        upload = Stubborn([])
        task = start(transport.send(post(upload), SOON))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert upload.closed
