"""The first words to a forward proxy: CONNECT, before TLS takes over the same socket.

The proxy's answer ends with its head; any byte after it came from the proxy too early to be the
origin's (TLS is begun by the client) and refuses the tunnel.
"""

import asyncio
from typing import cast

from proxy.base.errors import Unreachable
from proxy.base.secret import Secret

_HEAD_LIMIT = 64 * 1024
_END = b"\r\n\r\n"


class Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel and reads the head of its answer."""

    __slots__ = ("_heard", "_loop", "_transport", "_waiter")

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heard = b""
        self._waiter: asyncio.Future[None] | None = None

    async def open(self, address: str, authorization: Secret | None) -> None:
        """Return when the tunnel to `host:port` stands. Raises Unreachable."""
        lines = [f"CONNECT {address} HTTP/1.1", f"Host: {address}"]
        if authorization is not None:
            lines.append(f"Proxy-Authorization: {authorization.reveal()}")
        self._waiter = self._loop.create_future()
        self._transport.write("\r\n".join(lines).encode("ascii") + _END)
        await self._waiter
        self._judge(address)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if _END in self._heard or len(self._heard) > _HEAD_LIMIT:
            self._wake()

    def eof_received(self) -> None:
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _judge(self, address: str) -> None:
        head, end, rest = self._heard.partition(_END)
        if not head:
            raise Unreachable(f"cannot reach {address}: the proxy closed the connection")
        words = head.split(b"\r\n", 1)[0].split(b" ")
        status = words[1] if len(words) > 1 and words[0].startswith(b"HTTP/1.") else b""
        if not end or len(status) != 3 or not status.isdigit() or len(head) > _HEAD_LIMIT:
            raise Unreachable(f"cannot reach {address}: the proxy's answer is not HTTP")
        if not status.startswith(b"2"):
            raise Unreachable(
                f"cannot reach {address}: the proxy refused the tunnel with status "
                f"{status.decode('ascii')}"
            )
        if rest:
            raise Unreachable(f"cannot reach {address}: the proxy spoke before TLS began")
