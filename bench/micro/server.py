"""What a request costs each HTTP server alone: `python -m bench.micro.server`.

Both servers listen in this process, with a handler that takes the body and answers 0.5 kB; a client
in another process asks them in turn over 64 kept connections, for 1 kB POSTs with the head that an
SDK sends. Processor time of this process per request, from the hundredth request of a round to the
last. "sockets alone" answers without looking: what it costs is system calls and the loop, which no
server saves; compare what the two need more than that.
"""

import argparse
import asyncio
import socket
import sys
import time
from typing import Final, cast, get_args

import uvloop

from bench.micro.batches import Row
from bench.requests import chat_body
from bench.table import table
from proxy.server.listener import HttpServer, Kind
from proxy.server.out import HttpOut
from proxy.server.ports import Request

CONNECTIONS = 64
_ROUNDS = 5
_SETTLED = 100
_JSON = [(b"content-type", b"application/json")]
_OWN = b"x-request-id: req_0123456789abcdef\r\n"
_ANSWER = b'{"x":"' + b"y" * 500 + b'"}'
_BODY = chat_body(1, "gpt-4o", stream=False)
_HEAD = (
    "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
    "Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nAccept: application/json\r\n"
    "Content-Type: application/json\r\nUser-Agent: OpenAI/Python 3.1.0\r\n"
    "X-Stainless-Lang: python\r\nAuthorization: Bearer sk-0123456789abcdef0123456789abcdef\r\n"
    f"Content-Length: {len(_BODY)}\r\n\r\n"
)
_REQUEST = _HEAD.encode() + _BODY
_WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    b"date: Sat, 21 Nov 2026 06:35:47 GMT\r\n%bcontent-length: %d\r\n\r\n%b"
) % (_OWN, len(_ANSWER), _ANSWER)
_FLOOR: Final = "sockets alone"


class _Floor(asyncio.Protocol):
    """Answers every read, whatever it is."""

    def __init__(self, count: "Count") -> None:
        self._count = count
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _: bytes) -> None:
        assert self._transport is not None
        self._transport.write(_WHOLE)
        self._count.served()


class Count:
    """Serves, and takes the time from the request that finds everything warm to the last."""

    def __init__(self, requests: int) -> None:
        self._requests = requests
        self._served = 0
        self._began = self.took = 0

    async def __call__(self, request: Request) -> None:
        await request.read(1 << 20)
        HttpOut(request.connection, request, _OWN).whole(200, _JSON, _ANSWER)
        self.served()

    def served(self) -> None:
        """One more."""
        self._served += 1
        if self._served == _SETTLED:
            self._began = time.process_time_ns()
        elif self._served == self._requests:
            self.took = time.process_time_ns() - self._began

    @property
    def microseconds(self) -> float:
        return self.took / (self._requests - _SETTLED) / 1000


class _Caller(asyncio.Protocol):
    """One connection of the client: asks again as soon as it is answered."""

    def __init__(self, client: "_Client") -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        if data.endswith(b'"}'):
            self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        if self._client.left > 0:
            self._client.left -= 1
            self._transport.write(_REQUEST)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.closed()


class _Client:
    """All connections of the client."""

    def __init__(self, requests: int) -> None:
        self.left = requests
        self._open = CONNECTIONS
        self.over = asyncio.Event()

    async def run(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _ = await loop.create_connection(lambda: _Caller(self), "127.0.0.1", port)
        await self.over.wait()

    def closed(self) -> None:
        self._open -= 1
        if self._open == 0:
            self.over.set()


async def one_round(kind: Kind | None, requests: int) -> float:
    """Microseconds of processor time a request; None: of the sockets alone."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    count = Count(requests)
    port = str(listener.getsockname()[1])
    if kind is None:
        loop = asyncio.get_running_loop()
        async with await loop.create_server(lambda: _Floor(count), sock=listener):
            await _ask(port, requests)
    else:
        server = HttpServer(count, kind)
        await server.start(listener)
        try:
            await _ask(port, requests)
        finally:
            await server.stop(0.1)
    return count.microseconds


async def _ask(port: str, requests: int) -> None:
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.micro.server", "--ask", port, "--requests", str(requests)
    )
    try:
        async with asyncio.timeout(60):
            await client.wait()
    finally:
        if client.returncode is None:
            client.kill()


async def measure(requests: int = 20_000, rounds: int = _ROUNDS) -> list[Row]:
    """A row for each server, of rounds that take turns."""
    kinds: tuple[Kind | None, ...] = (None, *get_args(Kind))
    found: dict[Kind | None, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            found[kind].append(await one_round(kind, requests))
    rows: list[Row] = [("us a request", "best", "median")]
    for kind in kinds:
        took = sorted(found[kind])
        rows.append((kind or _FLOOR, f"{took[0]:.1f}", f"{took[len(took) // 2]:.1f}"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="What a request costs each HTTP server alone.")
    parser.add_argument("--requests", type=int, default=20_000, help="of a round")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--ask", type=int, metavar="PORT", help="be the client")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.ask:
            runner.run(_Client(options.requests).run(options.ask))
        else:
            print(table(runner.run(measure(options.requests, options.rounds))))


if __name__ == "__main__":
    main()
