"""What a request and its answer need of a connection, whichever HTTP server keeps it.

Two servers implement it: aiohttp's parser (connection.py, arrival.py) and httptools' (raw/). The
handler and the writer of answers know no more of either than this.
"""

from asyncio import BaseProtocol
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from proxy.core.exchange import Incoming
from proxy.core.ports import Answer
from proxy.core.writer import Writer


class Line(Protocol):
    """One caller's connection."""

    source: Answer | None  # Paused while the caller does not read.
    draining: bool  # The service stops: no further request is awaited.

    @property
    def writer(self) -> Writer:
        """All that is written goes through it, and the close behind it."""

    @property
    def writable(self) -> bool:
        """Whether the caller reads what we write."""

    async def drain(self) -> None:
        """Wait until the caller has read. Raises ConnectionError when it is gone."""


class Request(Incoming, Protocol):
    """One request on a connection."""

    http_1_1: bool
    keep_alive: bool  # Whether another may follow it.
    upgrade: bool  # It asked for another protocol.

    @property
    def connection(self) -> Line: ...


Serve = Callable[[Request], Awaitable[object]]
"""Answers one request."""


class Served(Line, Protocol):
    """A connection as the server that keeps it sees it."""

    def begin_drain(self) -> None:
        """Close when idle; else once the request that is here, or half here, is answered."""

    def sweep(self, now: float) -> None:
        """Called about once a second: end what is too slow."""


class Connections(Protocol):
    """The open connections of a server, and the factory of new ones' protocols."""

    draining: bool

    def __call__(self) -> BaseProtocol:
        """The protocol of a new connection."""

    def every(self) -> Iterable[Served]:
        """All that are open, safe against those that close meanwhile."""

    def __len__(self) -> int: ...

    async def shutdown(self, patience: float) -> None:
        """Close all now; wait at most so long for what runs on them to end."""
