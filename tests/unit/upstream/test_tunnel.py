"""Forward proxies: CONNECT for https, absolute form for http, credentials that stay hidden."""

import asyncio
import ssl

import pytest
import trustme

from proxy.base.errors import TimedOut, Unreachable
from proxy.core.outgoing import Timeouts
from proxy.upstream.origin import Origin
from proxy.upstream.proxies import ProxyRoute
from proxy.upstream.tls import make_context
from tests.fakes.raw_vendor import Peer, RawVendor, answer, say
from tests.unit.upstream.calls import SOON, Connect, fetch, get, post, start, turns, until

CREDENTIALS = b"Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n"


def route(proxy: RawVendor) -> ProxyRoute:
    return ProxyRoute.parse(f"http://user:password@127.0.0.1:{proxy.port}")


def tunnel_to(vendor: RawVendor, heads: list[bytes]) -> RawVendor:
    """A proxy that connects every CONNECT to this vendor."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def script(peer: Peer) -> None:
        heads.append(await peer.head())
        reader, writer = await asyncio.open_connection("127.0.0.1", vendor.port)
        peer.say(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
        try:
            await asyncio.gather(carry(peer._reader, writer), carry(reader, peer._writer))
        finally:
            writer.transport.abort()

    return RawVendor(script)


async def test_https_goes_through_a_tunnel(connect: Connect) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("vendor.test").configure_cert(context)
    tls = make_context()
    authority.configure_trust(tls)
    heads: list[bytes] = []
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        for _ in range(2):
            seen.append((await peer.request())[0])
            peer.say(answer(b"ok"))
        await peer.gone()

    async with RawVendor(script, tls=context) as vendor, tunnel_to(vendor, heads) as proxy:
        transport = connect(Origin("https", "vendor.test", 443), tls=tls, proxy=route(proxy))
        for _ in range(2):
            assert await fetch(transport, get()) == b"ok"
        transport.close()
        await until(lambda: vendor.open == 0)
    assert heads == [
        b"CONNECT vendor.test:443 HTTP/1.1\r\nHost: vendor.test:443\r\n" + CREDENTIALS + b"\r\n"
    ]
    assert seen == [b"GET /v1/models HTTP/1.1\r\nHost: vendor.test\r\n\r\n"] * 2


async def test_http_goes_in_absolute_form(connect: Connect) -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append((await peer.request())[0])
        peer.say(answer(b"ok"))
        await peer.gone()

    async with RawVendor(script) as proxy:
        origin = Origin("http", "vendor.test", 8000)
        assert await fetch(connect(origin, proxy=route(proxy)), get()) == b"ok"
    assert seen == [
        b"GET http://vendor.test:8000/v1/models HTTP/1.1\r\nHost: vendor.test:8000\r\n"
        + CREDENTIALS
        + b"\r\n"
    ]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "status 407"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad", "status 502"),
        (b"HTTP/1.1 200 OK\r\n\r\nearly", "before TLS"),
        (b"nonsense\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "not HTTP"),
        (b"", "closed the connection"),
    ],
)
async def test_proxies_that_refuse(connect: Connect, said: bytes, words: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        peer.say(said)
        peer.finish()
        await peer.gone()

    async with RawVendor(script) as proxy:
        origin = Origin("https", "vendor.test", 443)
        transport = connect(origin, tls=make_context(), proxy=route(proxy))
        with pytest.raises(Unreachable, match=words) as caught:
            await fetch(transport)
        assert "vendor.test:443" in caught.value.message
        assert "password" not in repr(caught.value)
        assert transport.stats().open == 0
        await until(lambda: proxy.open == 0)


async def test_a_proxy_that_is_not_there_is_named_without_its_password(connect: Connect) -> None:
    async with RawVendor(say()) as gone:
        path = route(gone)
    origin = Origin("https", "vendor.test", 443)
    with pytest.raises(Unreachable) as caught:
        await fetch(connect(origin, tls=make_context(), proxy=path))
    message = caught.value.message
    assert f"vendor.test:443 through the proxy {path.origin.address}: connection refused" in message
    assert "password" not in message
    assert "password" not in repr(path)


async def test_a_tunnel_counts_towards_the_connect_deadline(connect: Connect) -> None:
    async with RawVendor(say()) as proxy:
        origin = Origin("https", "vendor.test", 443)
        transport = connect(origin, tls=make_context(), proxy=route(proxy))
        with pytest.raises(TimedOut):
            await transport.send(post(), Timeouts(connect=0.1))
        assert transport.stats().open == 0
        await until(lambda: proxy.open == 0)


@pytest.mark.parametrize("after", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_cancelling_a_tunnel_closes_it(connect: Connect, after: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        peer.say(after)
        await peer.gone()

    async with RawVendor(script) as proxy:
        origin = Origin("https", "vendor.test", 443)
        transport = connect(origin, tls=make_context(), proxy=route(proxy))
        task = start(transport.send(post(), SOON))
        await until(lambda: proxy.open == 1)
        await turns(10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert transport.stats().open == 0
        await until(lambda: proxy.open == 0)
