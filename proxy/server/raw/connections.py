"""The open connections of the second HTTP server."""

import asyncio

from proxy.base.turn import Turn
from proxy.server.ports import Serve
from proxy.server.raw.connection import Connection


class RawConnections:
    """Makes connections and knows those that are open."""

    def __init__(self, serve: Serve) -> None:
        self._loop = asyncio.get_running_loop()
        self._serve = serve
        self._open: set[Connection] = set()
        self._turn = Turn()  # Answers that are ready in the same one are written together.
        self.draining = False

    def __call__(self) -> Connection:
        connection = Connection(self._loop, self._serve, self._open, self._turn)
        connection.draining = self.draining
        return connection

    def __len__(self) -> int:
        return len(self._open)

    def every(self) -> list[Connection]:
        """All that are open."""
        return list(self._open)

    async def shutdown(self, patience: float) -> None:
        """Close all now; wait at most so long for what runs on them to end."""
        self._turn.flush()
        ended = [connection.end() for connection in self.every()]
        tasks = [task for task in ended if task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=patience)
