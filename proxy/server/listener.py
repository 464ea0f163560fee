"""The HTTP server of a worker: accepts on a socket it is given, sweeps slow requests, drains."""

import asyncio
import socket
import ssl
from typing import Any, cast

from aiohttp import web

from proxy.base.clock import monotonic
from proxy.server.connection import Connection
from proxy.server.handler import Handler

KEEP_ALIVE = 75.0
_SWEEP = 1.0
_LOOK = 0.02
_OPTIONS: dict[str, Any] = {
    "access_log": None,
    "auto_decompress": False,
    "keepalive_timeout": KEEP_ALIVE,
    "lingering_time": 5.0,
    "max_line_size": 16 * 1024,
    "max_field_size": 16 * 1024,
}


class _Manager(web.Server):
    """aiohttp's set of open connections, made of ours."""

    draining = False

    def __call__(self) -> Connection:
        connection = Connection(self, loop=self._loop, **self._kwargs)
        connection.draining = self.draining
        return connection

    def every(self) -> list[Connection]:
        return cast("list[Connection]", self.connections)


class HttpServer:
    """Serves a handler on one listening socket."""

    def __init__(self, handler: Handler) -> None:
        self._manager = _Manager(
            cast("Any", handler),
            handler_cancellation=True,
            **_OPTIONS,
        )
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._manager, sock=listener, ssl=tls, backlog=2048, start_serving=True
        )
        self._timer = loop.call_later(_SWEEP, self._sweep)

    async def stop(self, grace: float) -> None:
        """Stop accepting, let requests in flight finish for `grace` seconds, close the rest.

        aiohttp's own shutdown stops reading at once, so a body on its way would never arrive."""
        manager = self._manager
        manager.draining = True
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(0)  # Requests that were read in this turn begin before idle ones end.
        for connection in manager.every():
            connection.begin_drain()
        until = monotonic() + grace
        # aiohttp strikes a connection out in a callback of its own: there is nothing to await.
        while manager.connections and monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)
        await manager.shutdown(_LOOK)
        if self._timer is not None:
            self._timer.cancel()

    @property
    def connections(self) -> int:
        return len(self._manager.connections)

    def _sweep(self) -> None:
        now = monotonic()
        for connection in self._manager.every():
            connection.sweep(now)
        self._timer = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)
