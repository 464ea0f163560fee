"""The open connections of the server that builds on aiohttp's."""

from typing import Any, cast

from aiohttp import web

from proxy.server.connection import Connection
from proxy.server.ports import Serve
from proxy.server.refusals import FIELDS_LIMIT, KEEP_ALIVE, LINE_LIMIT, LINGER

_OPTIONS: dict[str, Any] = {
    "access_log": None,
    "auto_decompress": False,
    "keepalive_timeout": KEEP_ALIVE,
    "lingering_time": LINGER,
    "max_line_size": LINE_LIMIT,
    "max_field_size": LINE_LIMIT,
    "max_headers": FIELDS_LIMIT,
}


class AiohttpConnections(web.Server):
    """aiohttp's set of open connections, made of ours."""

    def __init__(self, serve: Serve) -> None:
        super().__init__(cast("Any", serve), handler_cancellation=True, **_OPTIONS)
        self.draining = False

    def __call__(self) -> Connection:
        connection = Connection(self, loop=self._loop, **self._kwargs)
        connection.draining = self.draining
        return connection

    def __len__(self) -> int:
        return len(self.connections)

    def every(self) -> list[Connection]:
        """All that are open."""
        return cast("list[Connection]", self.connections)
