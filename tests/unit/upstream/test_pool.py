"""Places, the queue for them, and how idle connections end."""

import asyncio
from dataclasses import replace

import pytest

from proxy.base.clock import monotonic
from proxy.base.errors import Reset, Unreachable
from proxy.upstream.pool import PoolLimits
from proxy.upstream.transport import HttpTransport
from tests.fakes.raw_vendor import LAST_CHUNK, Peer, RawVendor, answer, chunked
from tests.unit.upstream.calls import SOON, Connect, fetch, post, start, turns, until


async def echo(peer: Peer) -> None:
    while True:
        _, body = await peer.request()
        peer.say(answer(body))


async def stream(peer: Peer) -> None:
    while True:
        await peer.request()
        peer.say(chunked(b"a"))


def background(transport: HttpTransport, body: bytes) -> "asyncio.Task[bytes]":
    return start(fetch(transport, post(body)))


async def test_never_more_connections_than_places(connect: Connect) -> None:
    async with RawVendor(echo) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=3))
        got = await asyncio.gather(*[fetch(transport, post(b"%d" % n)) for n in range(60)])
        assert got == [b"%d" % n for n in range(60)]
        assert vendor.accepted <= 3


async def test_waiters_are_served_first_come_first_served(connect: Connect) -> None:
    order: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            _, body = await peer.request()
            order.append(body)
            peer.say(answer(body))

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=1))
        tasks = [background(transport, b"%d" % n) for n in range(10)]
        await asyncio.gather(*tasks)
    assert order == [b"%d" % n for n in range(10)]


async def test_a_freed_place_goes_to_the_next_waiter(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        if peer.number == 1:
            await stream(peer)
        else:
            await echo(peer)

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=1))
        held = await transport.send(post(), SOON)
        waiting = background(transport, b"next")
        await turns()
        assert transport.stats().waiting == 1
        held.abort()
        assert await waiting == b"next"
        assert vendor.accepted == 2


@pytest.mark.parametrize("granted", [False, True])
async def test_a_cancelled_waiter_leaks_nothing(connect: Connect, granted: bool) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(chunked(b"a"))
        await go.wait()
        peer.say(LAST_CHUNK)
        await echo(peer)

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=1))
        held = await transport.send(post(), SOON)
        first, second = background(transport, b"1"), background(transport, b"2")
        await turns()
        if granted:
            # The connection comes back and goes to `first`, which is cancelled in the same turn.
            pump = start(held.pump(lambda data: None))
            await turns()
            go.set()
            while len(transport._pool._waiters) == 2:
                await asyncio.sleep(0)
            first.cancel()
            await pump
        else:
            first.cancel()
            await turns()
            assert transport.stats().waiting == 1
            go.set()
            await held.pump(lambda data: None)
        assert await second == b"2"
        with pytest.raises(asyncio.CancelledError):
            await first
        assert transport.stats() == type(transport.stats())(open=1, idle=1, waiting=0)


async def test_a_waiter_cancelled_after_a_place_was_granted_gives_it_on(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await (stream(peer) if peer.number == 1 else echo(peer))

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=1))
        held = await transport.send(post(), SOON)
        first, second = background(transport, b"1"), background(transport, b"2")
        await turns()
        held.abort()
        first.cancel()
        assert await second == b"2"
        assert transport.stats().open == 1


async def test_a_granted_connection_that_dies_first_is_not_used(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(answer(b"%d" % peer.number))
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=1))
        await fetch(transport)
        pool = transport._pool
        idle = pool.take()
        assert idle is not None
        waiting = background(transport, b"x")
        await turns()
        pool.release(idle)  # Granted ...
        idle.abort()  # ... and gone before the waiter wakes.
        assert await waiting == b"2"
        assert transport.stats().open == 1


async def test_a_waiter_whose_grant_died_takes_what_is_idle_by_then(connect: Connect) -> None:
    async with RawVendor(echo) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=2))
        await asyncio.gather(fetch(transport), fetch(transport))
        pool = transport._pool
        one, two = pool.take(), pool.take()
        assert one is not None
        assert two is not None
        waiting = background(transport, b"x")
        await turns()
        pool.release(one)
        one.abort()
        pool._places += 1  # Somebody else dials into the place that became free.
        pool.release(two)
        assert await waiting == b"x"
        pool.free_place()
        assert vendor.accepted == 2


async def test_a_fresh_waiter_turns_a_used_connection_into_a_place(connect: Connect) -> None:
    async with RawVendor(echo) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=1))
        await fetch(transport)
        pool = transport._pool
        used = pool.take()
        assert used is not None
        waiting = start(pool.wait(fresh=True))
        await turns()
        pool.release(used)
        assert await waiting is None
        assert used.closed
        assert transport.stats().open == 1
        pool.free_place()


async def test_a_failed_dial_gives_its_place_back(connect: Connect) -> None:
    async with RawVendor(echo) as vendor:
        origin = vendor.origin
    transport = connect(origin, PoolLimits(max_connections=1))
    for _ in range(3):
        with pytest.raises(Unreachable, match="connection refused") as caught:
            await fetch(transport)
        assert f"127.0.0.1:{origin.port}" in caught.value.message
        assert transport.stats().open == 0


async def test_a_fresh_try_in_a_full_pool_replaces_an_idle_connection(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(answer(b"%d" % peer.number))
        await peer.request()
        peer.close()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=1))
        assert [await fetch(transport) for _ in range(3)] == [b"1", b"2", b"3"]
        assert transport.stats().open == 1


async def test_a_fresh_try_waits_in_the_queue_too(connect: Connect) -> None:
    """One place; a stale connection is found out while another request waits."""
    resets = 0

    async def script(peer: Peer) -> None:
        nonlocal resets
        for _ in range(2):
            _, body = await peer.request()
            peer.say(answer(body))
        await peer.request()
        resets += 1
        peer.reset()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=1))
        tasks = [background(transport, b"%d" % n) for n in range(7)]
        got = await asyncio.gather(*tasks, return_exceptions=True)
        assert resets >= 2
        assert all(word == b"%d" % n or isinstance(word, Reset) for n, word in enumerate(got))
        assert sum(isinstance(word, bytes) for word in got) >= 5
        assert transport.stats().open <= 1


async def test_idle_connections_are_closed_in_their_time(connect: Connect) -> None:
    async with RawVendor(echo) as vendor:
        transport = connect(vendor.origin, PoolLimits(keepalive=0.4))
        start = monotonic()
        await asyncio.gather(fetch(transport), fetch(transport))
        assert transport.stats().idle == 2
        await until(lambda: transport.stats().open == 0)
        assert 0.29 <= monotonic() - start <= 0.8
        await until(lambda: vendor.open == 0)
        assert transport._pool._timer is None


async def test_use_keeps_a_connection_young(connect: Connect) -> None:
    async with RawVendor(echo) as vendor:
        transport = connect(vendor.origin, PoolLimits(keepalive=0.4))
        start = monotonic()
        while monotonic() - start < 0.7:
            await fetch(transport)
            await asyncio.sleep(0.02)
        assert vendor.accepted == 1


async def test_waiting_counts_towards_the_connect_deadline_of_each(connect: Connect) -> None:
    async with RawVendor(stream) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=1))
        held = await transport.send(post(), SOON)
        short = replace(SOON, connect=0.05)
        tasks = [start(transport.send(post(), short)) for _ in "ab"]
        got = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in got] == [Unreachable, Unreachable]
        held.abort()
        assert transport.stats().open == 0
