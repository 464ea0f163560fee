"""The bad network of tests/fakes/tcp.py does what its docstring says."""

import asyncio

import pytest

from proxy.base.clock import monotonic
from proxy.base.errors import Cut, Reset
from proxy.upstream.origin import Origin
from tests.fakes.raw_vendor import LAST_CHUNK, Peer, RawVendor, answer, chunked
from tests.fakes.tcp import TcpProxy
from tests.unit.upstream.calls import SOON, Connect, fetch, post, start, until


async def script(peer: Peer) -> None:
    while True:
        _, body = await peer.request()
        peer.say(chunked(body) + LAST_CHUNK)


def through(link: TcpProxy) -> Origin:
    return Origin("http", "127.0.0.1", link.port)


async def test_it_forwards_and_counts(connect: Connect) -> None:
    async with RawVendor(script) as vendor, TcpProxy(vendor.port) as link:
        transport = connect(through(link))
        for size in (1, 1_000_000):
            assert len(await fetch(transport, post(b"x" * size))) == size
        assert (link.connections, link.open) == (1, 1)
        assert link.delivered > 1_000_000
        assert link.received > 1_000_000
        transport.close()
        await link.quiet()
        await until(lambda: vendor.open == 0)


async def test_stall_and_flow(connect: Connect) -> None:
    async with RawVendor(script) as vendor, TcpProxy(vendor.port) as link:
        link.stall()
        task = start(fetch(connect(through(link)), post(b"a")))
        await until(lambda: link.received > 0)
        await asyncio.sleep(0.05)
        assert not task.done()
        assert link.delivered == 0
        link.flow()
        assert await task == b"a"


async def test_drip(connect: Connect) -> None:
    async with RawVendor(script) as vendor, TcpProxy(vendor.port) as link:
        link.drip(10, every=0.005)
        start = monotonic()
        assert await fetch(connect(through(link)), post(b"x" * 100)) == b"x" * 100
        assert monotonic() - start >= 0.05


@pytest.mark.parametrize("with_reset", [False, True])
async def test_cut_and_reset_after(connect: Connect, with_reset: bool) -> None:
    async with RawVendor(script) as vendor, TcpProxy(vendor.port) as link:
        (link.reset_after if with_reset else link.cut_after)(100)
        transport = connect(through(link))
        with pytest.raises((Cut, Reset) if with_reset else Cut):
            await fetch(transport, post(b"x" * 1000))
        assert link.delivered == 100
        await link.quiet()


async def test_reset_now(connect: Connect) -> None:
    async def hold(peer: Peer) -> None:
        await peer.request()
        peer.say(chunked(b"a"))
        await peer.gone()

    async with RawVendor(hold) as vendor, TcpProxy(vendor.port) as link:
        got = await connect(through(link)).send(post(), SOON)
        link.reset()
        with pytest.raises(Cut):
            await got.pump(lambda data: None)
        await link.quiet()
        await until(lambda: vendor.open == 0)


async def test_refuse_and_a_target_that_is_gone(connect: Connect) -> None:
    async def once(peer: Peer) -> None:
        await peer.request()
        peer.say(answer(b"ok", b"Connection: close"))
        await peer.gone()

    async with RawVendor(once) as vendor:
        link = TcpProxy(vendor.port)
        async with link:
            transport = connect(through(link))
            link.refuse()
            with pytest.raises(Exception, match="closed"):
                await fetch(transport)
            link.flow()
            assert await fetch(transport) == b"ok"
            await vendor.__aexit__(None, None, None)
            with pytest.raises(Reset):
                await fetch(transport)
            await link.quiet()
            await vendor.__aenter__()
