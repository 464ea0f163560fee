"""New connections: DNS, IPv6 and IPv4 side by side, a proxy's tunnel, TLS.

Nothing here keeps time: the caller's deadline covers all of it, and cancelling closes whatever was
open by then. Foreign exceptions become Unreachable here, in words that name the place and the cause
and never a credential.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType

from proxy.base.errors import Unreachable
from proxy.upstream.connection import Connection
from proxy.upstream.origin import Origin, ip_literal
from proxy.upstream.proxies import ProxyRoute
from proxy.upstream.tunnel import Tunnel

_FALLBACK_DELAY = 0.25  # RFC 8305's "Connection Attempt Delay".
_PROBE_AFTER = 60  # Seconds of silence before the kernel asks whether the peer still lives.

_STREAM = socket.SOCK_STREAM
_TCP = socket.IPPROTO_TCP

MakeConnection = Callable[[asyncio.AbstractEventLoop], Connection]


class Dialler:
    """Makes connections to one origin, directly or through a forward proxy."""

    __slots__ = ("_make", "_origin", "_proxy", "_tls", "_where")

    def __init__(
        self,
        origin: Origin,
        tls: ssl.SSLContext | None,
        proxy: ProxyRoute | None,
        make: MakeConnection,
    ) -> None:
        if origin.secure and tls is None:
            raise ValueError("an https origin needs a TLS context")
        self._origin = origin
        self._tls = tls if origin.secure else None
        self._proxy = proxy
        self._make = make
        through = f" through the proxy {proxy.origin.address}" if proxy is not None else ""
        self._where = f"{origin.address}{through}"

    async def dial(self) -> Connection:
        """A connection ready for a request. Raises Unreachable."""
        try:
            if self._proxy is not None and self._tls is not None:
                return await self._through_tunnel(self._proxy, self._tls)
            return await self._direct()
        except (OSError, RuntimeError) as error:
            raise Unreachable(f"cannot reach {self._where}: {_cause(error)}") from error

    async def _direct(self) -> Connection:
        loop = asyncio.get_running_loop()
        sock = await _connect(loop, self._origin if self._proxy is None else self._proxy.origin)
        try:
            if self._tls is None:
                _, connection = await loop.create_connection(lambda: self._make(loop), sock=sock)
            else:
                _, connection = await loop.create_connection(
                    lambda: self._make(loop),
                    sock=sock,
                    ssl=self._tls,
                    server_hostname=self._server_name,
                )
        except BaseException:
            sock.close()
            raise
        return connection

    async def _through_tunnel(self, proxy: ProxyRoute, tls: ssl.SSLContext) -> Connection:
        loop = asyncio.get_running_loop()
        sock = await _connect(loop, proxy.origin)
        try:
            transport, tunnel = await loop.create_connection(lambda: Tunnel(loop), sock=sock)
        except BaseException:
            sock.close()
            raise
        try:
            await tunnel.open(self._origin.address, proxy.authorization)
            connection = self._make(loop)
            connection.connection_made(transport)  # It may be closed before TLS stands.
            secured = await loop.start_tls(
                transport, connection, tls, server_hostname=self._server_name
            )
        except BaseException:
            transport.abort()
            raise
        if secured is None:  # The types allow it: the transport was closed meanwhile.
            raise Unreachable(f"cannot reach {self._where}: closed during the TLS handshake")
        connection.connection_made(secured)
        return connection

    @property
    def _server_name(self) -> str:
        return self._origin.host.rstrip(".")


async def _connect(loop: asyncio.AbstractEventLoop, origin: Origin) -> socket.socket:
    """A connected TCP socket: the first address that answers."""
    host = origin.host
    if (address := ip_literal(host)) is not None:
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        infos: list[AddrInfoType] = [(family, _STREAM, _TCP, "", (host, origin.port))]
    else:
        infos = list(await loop.getaddrinfo(host, origin.port, type=_STREAM, proto=_TCP))
    sock = await aiohappyeyeballs.start_connection(
        infos, happy_eyeballs_delay=_FALLBACK_DELAY, loop=loop
    )
    try:
        _tune(sock)
    except OSError:
        sock.close()
        raise
    return sock


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_AFTER)


def _cause(error: BaseException) -> str:
    """The class of a failure in plain words."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its TLS certificate is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return f"the TLS handshake failed ({error.reason or 'connection closed'})"
        case socket.gaierror():
            return f"its name cannot be resolved ({error.strerror})"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionError():
            return "the connection was closed while it was being set up"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number).lower()
    return "no address of it answers"
