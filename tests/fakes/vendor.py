"""A scripted vendor on a real socket: says what a test tells it to and remembers what it was asked.

    async with Vendor() as vendor:
        vendor.say(status=429, headers=[("retry-after", "1")])   # for the next request
        vendor.say(chunks=[b"data: 1\\n\\n", WaitFor(go), RST], framing="chunked")
        ...                                                      # then: correct default replies
    assert vendor.calls == 2

Replies are taken in the order in which request heads arrive. Bad HTTP from the client, a script
that contradicts itself, and a scripted reply that nobody asked for fail the test when the block
ends. Leaving the block closes all sockets and ends all tasks.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from proxy.base.tasks import Tasks
from tests.fakes.default_replies import default_reply
from tests.fakes.http_in import Request, read_body, read_head
from tests.fakes.link import Link
from tests.fakes.script import (
    FIN,
    RST,
    STALL,
    Act,
    HeaderPair,
    Pause,
    Reply,
    Step,
    WaitFor,
    compiled,
)
from tests.fakes.tally import Tally

__all__ = ["FIN", "RST", "STALL", "Pause", "Reply", "Request", "Tally", "Vendor", "WaitFor"]


class Vendor:
    """The vendor. All attributes may be read at any time, also after the block."""

    def __init__(self, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.arrived = Tally()
        """Whole requests so far: `await vendor.arrived.reach(2)`."""
        self.gone = Tally()
        """Clients that closed their connection before the reply to their request had ended."""
        self.accepted = Tally()
        """Connections so far."""
        self.faults: list[Exception] = []
        self._host = host
        self._tls = tls
        self._said: deque[Reply] = deque()
        self._always: Callable[[Request], Reply] | None = None
        self._tasks = Tasks()
        self._closed = Tally()
        self._links: set[Link] = set()
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def port(self) -> int:
        return self._port

    @property
    def origin(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self._port}"

    @property
    def url(self) -> str:
        """The base URL for an SDK or a provider."""
        return f"{self.origin}/v1"

    @property
    def calls(self) -> int:
        """How many whole requests arrived."""
        return len(self.requests)

    @property
    def open(self) -> int:
        """How many connections there are now."""
        return len(self._links)

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return self.accepted.value

    def say(
        self,
        status: int = 200,
        headers: Sequence[HeaderPair] | None = None,
        body: bytes = b"",
        *,
        chunks: Sequence[Step] | None = None,
        framing: str | None = None,
        informational: Sequence[int] = (),
        before_head: Sequence[Step] = (),
        inside_head: Sequence[Step] = (),
        cut_after: int | None = None,
        cut: Act = FIN,
        drip: float | None = None,
        close: bool = False,
        unread: bool = False,
    ) -> None:
        """Queue a reply for the next request that has none.

        `headers`: without framing; JSON's content type when None. `chunks`: each bytes is one write
        (and one chunk if `framing` is "chunked", the default with chunks; else "length" or "close",
        which ends the body by closing); Pause, WaitFor, FIN, RST and STALL may stand among them.
        `informational`: 1xx statuses first. `before_head`, `inside_head`: steps there, such as
        [STALL]. `cut_after` so many bytes of the body, `cut` happens. `drip`: byte by byte with
        that pause. `close`: says and does connection: close. `unread`: reply without reading the
        body.
        """
        self._said.append(
            Reply(
                status=status,
                headers=headers,
                body=body,
                chunks=chunks,
                framing=framing or ("length" if chunks is None else "chunked"),
                informational=informational,
                before_head=before_head,
                inside_head=inside_head,
                cut_after=cut_after,
                cut=cut,
                drip=drip,
                close=close,
                unread=unread,
            )
        )

    def say_raw(self, *steps: Step) -> None:
        """Queue a reply that is these steps and nothing else: for HTTP that no server would say."""
        self._said.append(Reply(raw=steps))

    def always(self, reply: Callable[[Request], Reply] | Reply) -> None:
        """Answer like this, instead of the default, whenever no reply is queued."""
        self._always = reply if callable(reply) else lambda _: reply

    def forget(self) -> None:
        """Drop queued replies: not being asked for them is then no fault."""
        self._said.clear()

    def drop_idle(self, *, reset: bool = False) -> None:
        """Close the connections that have no request now, as a server does with idle ones."""
        for link in list(self._links):
            if not link.busy:
                link.end(RST if reset else FIN)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Link(self._begin, self._ended), self._host, 0, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._tasks.cancel()
        for link in list(self._links):
            link.transport.abort()
        await self._closed.reach(self.accepted.value)
        await self._server.wait_closed()
        if kind is None and self._said:
            self.faults.append(AssertionError(f"{len(self._said)} scripted replies were not asked"))
        if kind is None and self.faults:
            raise ExceptionGroup("the fake vendor has complaints", self.faults)

    def _begin(self, link: Link) -> None:
        self.accepted.add()
        self._links.add(link)
        link.number = self.accepted.value
        link.task = self._tasks.spawn(self._serve(link), name=f"vendor-{link.number}")

    def _ended(self, link: Link) -> None:
        self._links.discard(link)
        self._closed.add()

    async def _serve(self, link: Link) -> None:
        """Answer the requests of one connection until one side ends it."""
        try:
            while await self._exchange(link):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            if link.busy:
                self.gone.add()
        except asyncio.CancelledError:
            if not link.left:
                raise
            self.gone.add()
        except Exception as error:  # noqa: BLE001 (a test's own reply may raise anything)
            self.faults.append(error)
            if not link.replying:
                link.writer.write(b"HTTP/1.1 500 Fault\r\ncontent-length: 0\r\n\r\n")
        link.end(FIN)

    async def _exchange(self, link: Link) -> bool:
        """One request and its reply; whether another may follow."""
        link.busy = False
        request = await read_head(link.reader, link.number)
        if request is None:
            return False
        link.busy = True
        reply = self._said.popleft() if self._said else None
        if reply is None or not reply.unread:
            if request.all("expect"):
                await link.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.body = await read_body(link.reader, request)
        self.requests.append(request)
        self.arrived.add()
        if reply is None:
            reply = self._standing(request)
        steps = compiled(reply, head_only=request.method == "HEAD")
        return await link.perform(steps) and "close" not in request.all("connection")

    def _standing(self, request: Request) -> Reply:
        if self._always is not None:
            return self._always(request)
        return default_reply(request.method, request.target, request.body)
