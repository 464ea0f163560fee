"""A mock OpenAI vendor: chat, streamed and not, tools, embeddings; far cheaper than any proxy.

One `asyncio.Protocol` per connection on uvloop, parsed by httptools, no framework and no task.
Requests may be pipelined: they are answered in order, a stream holds back those behind it. A client
that does not read stops its own stream and no other. `answers.py` has what is said and how a
request chooses the pace, `ordered.py` how it orders another answer, or gets one by the options
`--errors` and `--cuts`. It also takes traces, as a collector would.
Run: `python -m bench.vendor [--port N] [--for SECONDS] [--errors 0.01] [--cuts 0.01]`.
"""

import argparse
import asyncio
import gc
import socket
from collections import deque
from typing import cast

import httptools
import uvloop

from bench import answers, ordered
from bench.measure import raise_file_limit
from bench.pacer import Pacer, ticks
from bench.service import announce, serve_for

_CHAT_PATHS = frozenset((b"/v1/chat/completions", b"/chat/completions"))
_OTHER_PATHS = {
    b"/v1/embeddings": answers.EMBEDDING,
    b"/embeddings": answers.EMBEDDING,
    b"/health": answers.HEALTHY,
    b"/v1/traces": answers.TAKEN,
    b"/v1/metrics": answers.TAKEN,
}
_PAUSED_RETRY = 1  # Tick.


class _Stream:
    """One answer on its way out; stepped by the pacer, one write a step."""

    __slots__ = ("_connection", "_count", "_end", "_frames", "_next", "_ticks", "stopped")

    def __init__(
        self,
        connection: "VendorConnection",
        plan: answers.Plan,
        frames: list[bytes],
        end: bytes | None,
    ) -> None:
        self._connection = connection
        self._count = plan.chunks
        self._ticks = ticks(plan.pace)
        self._frames = frames
        self._end = end
        self._next = 0
        self.stopped = False

    def step(self) -> int:
        if self.stopped:
            return 0
        connection = self._connection
        if connection.paused:
            return _PAUSED_RETRY
        number = self._next
        if number < self._count:
            self._next = number + 1
            connection.write(self._frames[number])
            return self._ticks
        if self._end is None:
            connection.hang_up()
            return 0
        connection.write(self._end)
        connection.stream_ended()
        return 0


class VendorConnection(asyncio.Protocol):
    """One client of the vendor."""

    __slots__ = (
        "_body", "_faults", "_frames", "_order", "_pacer", "_parser", "_plan", "_socket", "_stream",
        "_transport", "_url", "_waiting", "paused",
    )  # fmt: skip

    def __init__(
        self, pacer: Pacer, frames: answers.Frames, faults: ordered.Faults | None = None
    ) -> None:
        self._faults = faults
        self._pacer = pacer
        self._frames = frames
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None  # While the kernel takes all that is written.
        self._stream: _Stream | None = None
        self._waiting: deque[tuple[bytes, bytes, bytes, bytes]] = deque()
        self._url = b""
        self._plan = b""
        self._order = b""
        self._body: list[bytes] = []
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it.
        if transport.get_extra_info("sslcontext") is None:
            fd = transport.get_extra_info("socket").fileno()
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=fd)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._let_go()
        if self._stream is not None:
            self._stream.stopped = True
            self._stream = None

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.write(answers.BAD_REQUEST)
            self.hang_up()

    def on_message_begin(self) -> None:
        self._url = b""
        self._plan = b""
        self._order = b""
        self._body = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"x-bench-plan":
            self._plan = value
        elif name == b"x-bench-answer":
            self._order = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        if self._stream is not None or self._waiting:
            self._waiting.append((self._url, self._plan, self._order, body))
        else:
            self._answer(self._url, self._plan, self._order, body)

    def write(self, data: bytes) -> None:
        """Send. Past the transport, whose own bookkeeping is a twentieth of a chunk, as long as
        nothing waits in it: from the first byte that the kernel does not take it has all."""
        if self._socket is not None:
            try:
                sent = self._socket.send(data)
            except OSError:
                sent = 0  # The transport will learn why by itself.
            if sent == len(data):
                return
            self._let_go()
            data = data[sent:]
        if self._transport is not None:
            self._transport.write(data)

    def hang_up(self) -> None:
        """Close when all is written."""
        self._let_go()
        if self._transport is not None:
            self._transport.close()

    def _let_go(self) -> None:
        if self._socket is not None:
            self._socket.detach()  # It is the transport's, who closes it.
            self._socket = None

    def stream_ended(self) -> None:
        """The pacer wrote the last byte of a stream: answer what waited behind it."""
        self._stream = None
        while self._waiting and self._stream is None:
            self._answer(*self._waiting.popleft())

    def _answer(self, url: bytes, plan: bytes, order: bytes, body: bytes) -> None:
        if url not in _CHAT_PATHS and (path := url.partition(b"?")[0]) not in _CHAT_PATHS:
            self.write(_OTHER_PATHS.get(path, answers.NOT_FOUND))
        elif (order and (wanted := ordered.read(order)) is not None) or (
            self._faults is not None and (wanted := self._faults.next()) is not None
        ):
            self._answer_ordered(wanted, plan, body)
        elif answers.wants_stream(body):
            steps, tools = _plan(plan, body), answers.wants_tools(body)
            usage = answers.wants_usage(body)
            end = answers.stream_end(steps.chunks, usage=usage, tools=tools)
            self._begin(steps, end, tools=tools, usage=usage)
        else:
            self.write(answers.TOOLS if answers.wants_tools(body) else answers.CHAT)

    def _answer_ordered(self, order: ordered.Order, plan: bytes, body: bytes) -> None:
        if (refusal := order.refusal) is not None:
            self.write(refusal)
        elif answers.wants_stream(body):
            usage = answers.wants_usage(body)
            self._begin(_plan(plan, body), order.stream_end(asked=usage), usage=usage)
        else:
            self.write(order.plain())
            if order.cut:
                self.hang_up()

    def _begin(
        self, plan: answers.Plan, end: bytes | None, *, tools: bool = False, usage: bool = False
    ) -> None:
        self.write(answers.STREAM_HEAD)
        frames = self._frames.up_to(plan.chunks, plan.more, tools=tools, usage=usage)
        self._stream = stream = _Stream(self, plan, frames, end)
        if plan.delay or not plan.chunks:
            self._pacer.add(stream, plan.delay)
        else:
            stream.step()  # No delay is none, not the rest of the pacer's millisecond.
            self._pacer.add(stream, plan.pace)


def _plan(named: bytes, body: bytes) -> answers.Plan:
    return answers.read_plan(named) or answers.plan_of_model(body)


async def start(port: int = 0, faults: ordered.Faults | None = None) -> asyncio.Server:
    """Listen on loopback; for tests and for `main`."""
    loop = asyncio.get_running_loop()
    pacer, frames = Pacer(loop), answers.Frames()
    server = await loop.create_server(
        lambda: VendorConnection(pacer, frames, faults), "127.0.0.1", port, backlog=4096
    )
    for listening in server.sockets:  # Its connections have it from it. The cheapest there is.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
    return server


async def _main(port: int, seconds: float, faults: ordered.Faults | None) -> None:
    server = await start(port, faults)
    gc.freeze()
    announce(server.sockets[0].getsockname()[1])
    await serve_for(seconds)
    server.close()


def main(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="python -m bench.vendor", description=__doc__)
    options.add_argument("--port", type=int, default=0, help="0: the kernel chooses")
    options.add_argument("--for", dest="seconds", type=float, default=3600.0)
    options.add_argument("--errors", type=float, default=0.0, help="share answered with 500")
    options.add_argument("--cuts", type=float, default=0.0, help="share that breaks off")
    given = options.parse_args(arguments)
    raise_file_limit()
    wanted = given.errors or given.cuts
    faults = ordered.Faults(given.errors, given.cuts) if wanted else None
    uvloop.run(_main(given.port, given.seconds, faults))


if __name__ == "__main__":
    main()
