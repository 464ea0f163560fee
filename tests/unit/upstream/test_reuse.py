"""Which connections are used again, and what happens when one had died meanwhile."""

import asyncio

import pytest

from proxy.base.errors import Cut, Malformed, Reset
from proxy.upstream.pool import PoolLimits
from tests.fakes.raw_vendor import LAST_CHUNK, Peer, RawVendor, answer, chunked, say
from tests.unit.upstream.calls import SOON, Connect, Pieces, fetch, post, until


@pytest.mark.parametrize(
    "raw",
    [
        answer(b"ok", b"Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\n\r\n",
        answer(b"ok") + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
        answer(b"ok") + b"x",
        chunked(b"ok") + LAST_CHUNK + b"HTTP/1.1 200 OK\r\n",
    ],
)
async def test_some_answers_use_a_connection_up(connect: Connect, raw: bytes) -> None:
    async with RawVendor(say(raw, answer(b"never"))) as vendor:
        transport = connect(vendor.origin)
        for _ in range(2):
            assert await fetch(transport) == b"ok"
            assert transport.stats().open == 0
        assert vendor.accepted == 2


async def test_surplus_that_comes_later_drops_the_idle_connection(connect: Connect) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(answer(b"one"))
        await go.wait()
        peer.say(answer(b"poison"))
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        assert await fetch(transport) == b"one"
        go.set()
        await until(lambda: transport.stats().open == 0)
        assert await fetch(transport) == b"one"


@pytest.mark.parametrize("how", ["close", "finish", "reset"])
async def test_an_idle_connection_that_ends_is_dropped(connect: Connect, how: str) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(answer(b"one"))
        await go.wait()
        getattr(peer, how)()
        await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        assert await fetch(transport) == b"one"
        assert transport.stats().idle == 1
        go.set()
        await until(lambda: transport.stats().open == 0)
        assert transport.stats().idle == 0
        await until(lambda: vendor.open == 0)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_stale_connection_is_replaced_once(connect: Connect, how: str) -> None:
    bodies: list[bytes] = []

    async def script(peer: Peer) -> None:
        bodies.append((await peer.request())[1])
        peer.say(answer(b"%d" % peer.number))
        bodies.append((await peer.request())[1])
        getattr(peer, how)()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        assert await fetch(transport, post(b"a")) == b"1"
        assert await fetch(transport, post(b"b")) == b"2"
        assert vendor.accepted == 2
    assert bodies == [b"a", b"b", b"b"]


async def test_the_replacement_is_fresh_even_if_others_are_idle(connect: Connect) -> None:
    both = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 2:
            both.set()
        await both.wait()
        peer.say(answer(b"%d" % peer.number))
        await peer.request()
        if peer.number > 2:
            peer.say(answer(b"wrong"))
        peer.close()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin, PoolLimits(max_connections=2))
        await asyncio.gather(fetch(transport), fetch(transport))
        assert transport.stats().idle == 2
        assert await fetch(transport) == b"3"
        assert vendor.accepted == 3
        assert transport.stats().open <= 2


async def test_a_fresh_connection_that_dies_is_not_tried_again(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.close()

    async with RawVendor(script) as vendor:
        with pytest.raises(Reset, match=f"127.0.0.1:{vendor.port}") as caught:
            await fetch(connect(vendor.origin))
        assert caught.value.sent
        assert vendor.accepted == 1


async def test_the_second_try_is_the_last(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            peer.say(answer(b"ok"))
            await peer.request()
        peer.reset()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        assert await fetch(transport) == b"ok"
        with pytest.raises(Reset):
            await fetch(transport)
        assert vendor.accepted == 2


@pytest.mark.parametrize(
    ("begun", "error"),
    [
        (b"H", Reset),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Reset),
        (b"HTTP/1.1 200 OK\r\n", Reset),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Cut),
        (b"garbage\r\n\r\n", Malformed),
    ],
)
async def test_an_answer_that_had_begun_is_not_asked_for_again(
    connect: Connect, begun: bytes, error: type[Exception]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(answer(b"ok"))
        await peer.request()
        peer.say(begun)
        peer.close()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        await fetch(transport)
        with pytest.raises(error):
            await fetch(transport)
        assert vendor.accepted == 1


@pytest.mark.parametrize("begun", [False, True])
async def test_an_upload_is_sent_again_only_if_it_has_not_begun(
    connect: Connect, begun: bool
) -> None:
    gate = asyncio.Event()

    async def script(peer: Peer) -> None:
        if peer.number == 1:
            await peer.request()
            peer.say(answer(b"ok"))
            await peer.head()
            peer.finish()
            await peer.gone()
            gate.set()
        else:
            peer.say(answer((await peer.request())[1]))
            await peer.gone()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        await fetch(transport)
        upload = Pieces([b"abc", gate] if begun else [gate, b"abc"])
        if begun:
            with pytest.raises(Reset):
                await fetch(transport, post(upload))
        else:
            assert await fetch(transport, post(upload)) == b"abc"
        assert vendor.accepted == (1 if begun else 2)


async def test_the_connection_used_last_is_used_next(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.say(answer(b"%d" % peer.number))

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        first = await transport.send(post(), SOON)
        held = [await transport.send(post(), SOON) for _ in range(3)]
        assert vendor.accepted <= 4
        last = [await one.read(9) for one in (*held, first)][-1]
        for _ in range(5):
            last = await fetch(transport)
            assert await fetch(transport) == last


async def test_an_early_answer_to_a_body_in_memory_uses_the_connection_up(
    connect: Connect,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        peer.stop_reading()
        peer.say(answer(b"too large", status=b"413 Content Too Large"))
        await asyncio.Event().wait()

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        got = await transport.send(post(b"x" * 20_000_000), SOON)
        assert got.status == 413
        assert await got.read(100) == b"too large"
        assert transport.stats().open == 0


async def test_close_ends_idle_connections_now_and_busy_ones_later(connect: Connect) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.say(chunked(b"a"))
            await go.wait()
            peer.say(LAST_CHUNK)

    async with RawVendor(script) as vendor:
        transport = connect(vendor.origin)
        one, two = await transport.send(post(), SOON), await transport.send(post(), SOON)
        go.set()
        assert [await one.read(9), await two.read(9)] == [b"a", b"a"]
        go.clear()
        three = await transport.send(post(), SOON)
        transport.close()
        transport.close()
        assert (transport.stats().open, transport.stats().idle) == (1, 0)
        await until(lambda: vendor.open == 1)
        go.set()
        assert await three.read(9) == b"a"
        assert transport.stats().open == 0
        await until(lambda: vendor.open == 0)
        assert await fetch(transport) == b"a"  # A request that began under the old snapshot.
        assert transport.stats().open == 0
