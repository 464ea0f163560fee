"""One connection of the fault run's load: sends a request, keeps the answer until it is over.

Raw `asyncio.Protocol` + httptools, cheap beside the proxy. The owner is told when the answer is
over, however: `whole` as HTTP frames it, or broken off.
"""

import asyncio
from typing import Protocol, cast

import httptools

from bench.faults_requests import Ask
from proxy.base.clock import monotonic


class Owner(Protocol):
    """Who is told what happens to a connection."""

    def over(self, connection: "Connection", /, *, whole: bool) -> None:
        """The answer to `connection.ask` is over; `connection.alive`: it can be used again."""

    def began(self, connection: "Connection", /) -> None:
        """The first bytes of the body are here."""

    def died(self, connection: "Connection", /) -> None:
        """It was closed while nothing was asked."""


class Connection(asyncio.Protocol):
    """One client connection; one answer at a time."""

    __slots__ = (
        "_body", "_ended", "_keep", "_owner", "_parser", "_transport", "ask", "budget_left",
        "request_id", "since",
    )  # fmt: skip

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._ended = False
        self._keep = True
        self.ask: Ask | None = None
        self.request_id = ""
        self.budget_left = b""  # As the proxy says, in USD.
        self.since = 0.0  # When something last happened to the answer.

    @property
    def alive(self) -> bool:
        return self._transport is not None

    @property
    def body(self) -> bytes:
        return b"".join(self._body)

    @property
    def status(self) -> int:
        """Of the answer, 0 while its head is not here."""
        return self._parser.get_status_code() if self.request_id else 0

    def send(self, ask: Ask) -> None:
        """Only when alive and nothing is asked."""
        assert self._transport is not None and self.ask is None
        self.ask = ask
        self.request_id = ""
        self.budget_left = b""
        self._body = []
        self.since = monotonic()
        self._transport.write(ask.data)

    def drop(self) -> None:
        """Close now, without a word to the owner."""
        transport, self._transport = self._transport, None
        self.ask = None
        if transport is not None:
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it.

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        if self.ask is not None:
            self._over(whole=False)
        else:
            self._owner.died(self)

    def data_received(self, data: bytes) -> None:
        self.since = monotonic()
        first = not self._body
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._close()
            self._over(whole=False)
            return
        if self._ended:
            self._ended = False
            if not self._keep:
                self._close()
            self._over(whole=True)
        elif first and self._body:
            self._owner.began(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"x-request-id":
            self.request_id = value.decode("ascii", "replace")
        elif name == b"x-llm-proxy-budget-remaining":
            self.budget_left = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._ended = True
        self._keep = self._parser.should_keep_alive()

    def _close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def _over(self, *, whole: bool) -> None:
        if self.ask is not None:
            self._owner.over(self, whole=whole)
