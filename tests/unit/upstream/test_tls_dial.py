"""TLS with an authority made for the test, names, and failures in plain words."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from proxy.base.errors import Cut, Unreachable
from proxy.core.outgoing import Timeouts
from proxy.upstream.origin import Origin
from proxy.upstream.tls import make_context
from tests.fakes.raw_vendor import LAST_CHUNK, Peer, RawVendor, answer, chunked, say
from tests.unit.upstream.calls import SOON, Connect, fetch, post, start, until


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def trusting(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    yield path


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_answers_over_tls(connect: Connect, authority: trustme.CA, trusting: Path) -> None:
    seen: list[tuple[str | None, object]] = []
    context = server_context(authority, "localhost", "127.0.0.1")
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)

    async def script(peer: Peer) -> None:
        tls = peer._writer.get_extra_info("ssl_object")
        seen.append((tls.version(), tls.selected_alpn_protocol()))
        while True:
            _, body = await peer.request()
            peer.say(chunked(body, b"!") + LAST_CHUNK)

    async with RawVendor(script, tls=context) as vendor:
        transport = connect(Origin("https", "localhost", vendor.port), tls=make_context(trusting))
        for word in (b"a", b"x" * 300_000, b"c"):
            assert await fetch(transport, post(word)) == word + b"!"
        assert vendor.accepted == 1
    assert seen == [("TLSv1.3", "http/1.1")]
    assert names == ["localhost"]


async def test_a_certificate_for_an_address(
    connect: Connect, authority: trustme.CA, trusting: Path
) -> None:
    async with RawVendor(say(answer(b"ok")), tls=server_context(authority, "127.0.0.1")) as vendor:
        assert await fetch(connect(vendor.origin, tls=make_context(trusting))) == b"ok"


async def test_strangers_are_not_trusted(connect: Connect, authority: trustme.CA) -> None:
    async with RawVendor(say(), tls=server_context(authority, "127.0.0.1")) as vendor:
        transport = connect(vendor.origin, tls=make_context())
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+: its TLS certificate is not"):
            await fetch(transport)
        assert transport.stats().open == 0
        await until(lambda: vendor.open == 0)


async def test_a_certificate_for_another_name(
    connect: Connect, authority: trustme.CA, trusting: Path
) -> None:
    async with RawVendor(say(), tls=server_context(authority, "elsewhere.test")) as vendor:
        with pytest.raises(Unreachable, match="not trusted"):
            await fetch(connect(vendor.origin, tls=make_context(trusting)))


async def test_old_protocols_are_refused(
    connect: Connect, authority: trustme.CA, trusting: Path
) -> None:
    context = make_context(trusting)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_a_port_that_does_not_speak_tls(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        peer.say(b"220 mail.example ESMTP\r\n")
        await peer.gone()

    async with RawVendor(script) as vendor:
        origin = Origin("https", "127.0.0.1", vendor.port)
        with pytest.raises(Unreachable, match="TLS handshake"):
            await fetch(connect(origin, tls=make_context()))


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_peer_that_goes_during_the_handshake(connect: Connect, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.take(5)
        getattr(peer, how)()

    async with RawVendor(script) as vendor:
        origin = Origin("https", "127.0.0.1", vendor.port)
        transport = connect(origin, tls=make_context())
        with pytest.raises(Unreachable):
            await fetch(transport)
        assert transport.stats().open == 0


async def test_cancelling_during_the_handshake_closes_the_socket(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with RawVendor(script) as vendor:
        origin = Origin("https", "127.0.0.1", vendor.port)
        transport = connect(origin, tls=make_context())
        task = start(fetch(transport))
        await until(lambda: vendor.open == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert transport.stats().open == 0
        await until(lambda: vendor.open == 0)


async def test_the_handshake_counts_towards_the_connect_deadline(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with RawVendor(script) as vendor:
        origin = Origin("https", "127.0.0.1", vendor.port)
        transport = connect(origin, tls=make_context())
        with pytest.raises(Exception, match="no connection to") as caught:
            await transport.send(post(), Timeouts(connect=0.1))
        assert getattr(caught.value, "phase", None) == "connect"
        assert transport.stats().open == 0
        await until(lambda: vendor.open == 0)


async def test_a_cut_over_tls(connect: Connect, authority: trustme.CA, trusting: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.say(chunked(b"a"))
        await peer.drain()
        await asyncio.sleep(0.01)
        peer.drop()

    async with RawVendor(script, tls=server_context(authority, "127.0.0.1")) as vendor:
        got = await connect(vendor.origin, tls=make_context(trusting)).send(post(), SOON)
        with pytest.raises(Cut):
            await got.pump(lambda data: None)


async def test_an_https_origin_needs_a_context(connect: Connect) -> None:
    with pytest.raises(ValueError, match="TLS context"):
        connect(Origin("https", "localhost", 443))


async def test_names_that_do_not_resolve(connect: Connect) -> None:
    with pytest.raises(Unreachable, match=r"no-such-host\.invalid:80: its name cannot"):
        await fetch(connect(Origin("http", "no-such-host.invalid", 80)))


async def test_both_families_are_tried(connect: Connect) -> None:
    """`localhost` is ::1 and 127.0.0.1 on most machines; the vendor listens on one of them."""
    async with RawVendor(say(answer(b"ok"))) as vendor:
        assert await fetch(connect(Origin("http", "localhost", vendor.port))) == b"ok"


async def test_ipv6(connect: Connect) -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append((await peer.request())[0])
        peer.say(answer(b"ok"))
        await peer.gone()

    try:
        vendor = await RawVendor(script, host="::1").__aenter__()
    except OSError:  # A machine without IPv6: then the origin cannot be reached, and that is said.
        with pytest.raises(Unreachable):
            await fetch(connect(Origin("http", "::1", 9)))
        return
    async with _Entered(vendor):
        assert await fetch(connect(vendor.origin)) == b"ok"
        assert b"Host: [::1]:%d\r\n" % vendor.port in seen[0]


class _Entered:
    def __init__(self, vendor: RawVendor) -> None:
        self._vendor = vendor

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *error: object) -> None:
        await self._vendor.__aexit__(None, None, None)
