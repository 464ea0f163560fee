"""The HTTP server of a worker: accepts on a socket it is given, sweeps slow requests, drains.

Who keeps the connections is a choice: aiohttp's parser and connections, or httptools' parser and
connections of our own (ADR 0020).
"""

import asyncio
import socket
import ssl
from typing import Literal

from proxy.base.clock import monotonic
from proxy.server.ports import Connections, Serve
from proxy.server.raw.connections import RawConnections

Kind = Literal["httptools", "aiohttp"]

_SWEEP = 1.0
_LOOK = 0.02


class HttpServer:
    """Serves a handler on one listening socket."""

    def __init__(self, handler: Serve, kind: Kind = "httptools") -> None:
        self._connections = _connections(kind, handler)
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connections, sock=listener, ssl=tls, backlog=2048, start_serving=True
        )
        self._timer = loop.call_later(_SWEEP, self._sweep)

    async def stop(self, grace: float) -> None:
        """Stop accepting, let requests in flight finish for `grace` seconds, close the rest.

        aiohttp's own shutdown stops reading at once, so a body on its way would never arrive."""
        connections = self._connections
        connections.draining = True
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(0)  # Requests that were read in this turn begin before idle ones end.
        for connection in connections.every():
            connection.begin_drain()
        until = monotonic() + grace
        # A connection is struck out in a callback of the loop: there is nothing to await.
        while len(connections) > 0 and monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)
        await connections.shutdown(_LOOK)
        if self._timer is not None:
            self._timer.cancel()

    @property
    def connections(self) -> int:
        return len(self._connections)

    def _sweep(self) -> None:
        now = monotonic()
        for connection in self._connections.every():
            connection.sweep(now)
        self._timer = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)


def _connections(kind: Kind, handler: Serve) -> Connections:
    if kind == "httptools":
        return RawConnections(handler)
    from proxy.server.connections import AiohttpConnections  # noqa: PLC0415 - large, if not chosen.

    return AiohttpConnections(handler)
