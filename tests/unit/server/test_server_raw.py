"""The second server's connection: what it holds back, what it ends, and what it tells of."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from proxy.server.out import HttpOut
from proxy.server.ports import Request
from proxy.server.raw.connection import HIGH, IDLE, Connection
from proxy.server.raw.connections import RawConnections
from proxy.server.refusals import KEEP_ALIVE, SLOW
from tests.fakes.wire import FakeAnswer

GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
MB = 1 << 20


class Transport(asyncio.Transport):
    """Keeps what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.did: list[str] = []
        self.buffered = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.did.append("close")

    def abort(self) -> None:
        self.did.append("abort")

    def is_closing(self) -> bool:
        return "close" in self.did

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def pause_reading(self) -> None:
        self.did.append("pause")

    def resume_reading(self) -> None:
        self.did.append("resume")


@dataclass
class Caller:
    """One connection and what becomes of its requests."""

    served: list[str] = field(default_factory=list)
    bodies: list[int] = field(default_factory=list)
    cancelled: int = 0
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    transport: Transport = field(default_factory=Transport)

    def __post_init__(self) -> None:
        self.connections = RawConnections(self.serve)
        self.connection = self.connections()
        self.connection.connection_made(self.transport)

    async def serve(self, request: Request) -> None:
        self.served.append(request.path)
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.bodies.append(len(await request.read(MB)))
        HttpOut(request.connection, request, b"").whole(200, [], b"")

    async def send(self, data: bytes) -> None:
        self.connection.data_received(data)
        await turns()

    @property
    def answers(self) -> int:
        return self.transport.written.count(b"HTTP/1.1 200 OK")


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    caller = Caller()
    await turns()
    yield caller
    caller.connection.connection_lost(None)
    await turns()
    assert len(caller.connections) == 0


async def test_requests_ahead_are_held_and_served_in_order(caller: Caller) -> None:
    count = 3000
    await caller.send(b"".join(GET % n for n in range(count)))
    assert len(caller.served) == 1
    assert len(caller.connection._reader.ready) < 300, "as many as one step may bring"
    assert caller.transport.did == ["pause"]
    caller.may_answer.set()
    while caller.answers < count:
        await asyncio.sleep(0)
    assert caller.served == [f"/{n}" for n in range(count)]
    assert caller.transport.did == ["pause", "resume"]


async def test_what_drips_in_ahead_is_bounded(caller: Caller) -> None:
    while "pause" not in caller.transport.did:
        await caller.send(GET % 1 * 50)
        assert len(caller.connection._held) < 2 * HIGH


async def test_a_body_that_nobody_takes_is_not_received(caller: Caller) -> None:
    size = 5 * HIGH
    await caller.send(POST % (1, size) + bytes(HIGH // 2))
    assert caller.transport.did == []
    await caller.send(bytes(HIGH))
    assert caller.transport.did == ["pause"]
    caller.may_answer.set()
    await turns()
    assert caller.transport.did == ["pause", "resume"]
    await caller.send(bytes(size - HIGH // 2 - HIGH))
    assert (caller.bodies, caller.answers) == ([size], 1)


async def test_a_body_that_came_in_one_read_is_in_one_piece(caller: Caller) -> None:
    """Nothing is left to be joined; and what stood around it is not part of it."""
    body = bytes(range(256)) * 512
    await caller.send(POST % (1, len(body)) + body + GET % 2)
    arrival = caller.connection._arrival
    assert arrival is not None and arrival.pieces == [body]
    caller.may_answer.set()
    await turns()
    assert (caller.served, caller.bodies) == (["/1", "/2"], [len(body), 0])


async def test_a_caller_that_leaves_cancels_what_it_asked_for(caller: Caller) -> None:
    await caller.send(GET % 1)
    caller.connection.connection_lost(None)
    await turns()
    assert caller.cancelled == 1
    assert caller.connection.writer.transport is None


async def test_a_caller_that_does_not_read_pauses_its_source(caller: Caller) -> None:
    source = FakeAnswer()
    connection = caller.connection
    connection.source = source
    connection.pause_writing()
    assert (source.did, connection.writable) == (["pause"], False)
    drained = asyncio.get_running_loop().create_task(connection.drain(), name="test: drain")
    await turns()
    assert not drained.done()
    connection.resume_writing()
    await drained
    assert (source.did, connection.writable) == (["pause", "resume"], True)
    connection.pause_writing()
    drained = asyncio.get_running_loop().create_task(connection.drain(), name="test: drain")
    await turns()
    connection.connection_lost(None)
    with pytest.raises(ConnectionError):
        await drained


async def test_what_waits_for_the_end_of_the_turn_leaves_before_the_transport_closes(
    caller: Caller,
) -> None:
    """A caller that says with its request that it sends no more: asyncio closes behind that."""
    caller.may_answer.set()

    def ends() -> None:
        assert caller.answers == 0, "nothing waits: the test is of no use"
        caller.connection.eof_received()
        caller.transport.close()

    caller.connection.data_received(GET % 1)
    asyncio.get_running_loop().call_soon(ends)
    await turns()
    assert caller.answers == 1


async def test_who_reads_nothing_is_served_no_more(caller: Caller) -> None:
    caller.may_answer.set()
    caller.connection.pause_writing()
    await caller.send(GET % 1)
    await caller.send(GET % 2)
    assert (caller.served, caller.answers) == (["/1"], 1)
    caller.connection.resume_writing()
    await turns()
    assert (caller.served, caller.answers) == (["/1", "/2"], 2)


async def test_who_goes_on_reading_nothing_is_dropped(caller: Caller) -> None:
    caller.may_answer.set()
    caller.connection.pause_writing()
    caller.transport.buffered = 500
    await caller.send(GET % 1)
    swept(caller.connection, 100, 101 + KEEP_ALIVE)
    await turns()
    swept(caller.connection, 102 + KEEP_ALIVE, 103 + 2 * KEEP_ALIVE)
    assert set(caller.transport.did) == {"close", "abort"}


async def test_who_never_reads_an_answer_that_is_waited_with_is_dropped() -> None:
    """The relay waits for the caller within the request."""

    async def serve(request: Request) -> None:
        out = HttpOut(request.connection, request, b"")
        out.whole(200, [], b"")
        await out.flush()

    connection, transport = RawConnections(serve)(), Transport()
    connection.connection_made(transport)
    await turns()
    connection.pause_writing()
    transport.buffered = 500
    connection.data_received(GET % 1)
    await turns()
    swept(connection, 100, 99 + KEEP_ALIVE)
    await turns()
    assert transport.did == []
    swept(connection, 101 + KEEP_ALIVE)
    await turns()
    swept(connection, 102 + KEEP_ALIVE, 103 + 2 * KEEP_ALIVE)
    assert set(transport.did) == {"close", "abort"}
    connection.connection_lost(None)
    await turns()


def swept(connection: Connection, *times: float) -> None:
    for now in times:
        connection.sweep(now)


async def test_an_idle_connection_forgets_the_key(caller: Caller) -> None:
    caller.may_answer.set()
    await caller.send(POST % (1, 2) + b"{}")
    reader = caller.connection._reader
    assert reader._repeated is not None
    swept(caller.connection, 100, 100 + IDLE)
    assert reader._repeated is not None
    swept(caller.connection, 101 + IDLE)
    assert reader._repeated is None
    for _ in range(2):
        await caller.send(POST % (2, 2) + b"{}")
        assert reader._repeated is not None, "the next ones are known again"
    assert caller.served == ["/1", "/2", "/2"]


async def test_idle_connections_end(caller: Caller) -> None:
    swept(caller.connection, 100, 100 + KEEP_ALIVE - 1)
    caller.may_answer.set()
    await caller.send(GET % 1)
    swept(caller.connection, 100 + KEEP_ALIVE + 1, 99 + 2 * KEEP_ALIVE)
    assert caller.transport.did == []
    swept(caller.connection, 102 + 2 * KEEP_ALIVE)
    await turns()
    assert caller.transport.did[0] == "close"


async def test_a_slow_head_is_told_so(caller: Caller) -> None:
    await caller.send(b"GET / HT")
    swept(caller.connection, 100, 99 + SLOW)
    assert caller.transport.written == b""
    swept(caller.connection, 101 + SLOW)
    caller.connection.writer.turn.flush()
    assert caller.transport.written.startswith(b"HTTP/1.1 408 ")
    assert "close" in caller.transport.did


async def test_a_head_behind_a_long_answer_is_not_slow(caller: Caller) -> None:
    await caller.send(GET % 1 + b"GET / HT")
    swept(caller.connection, 100, 200, 300)
    assert (caller.transport.written, caller.transport.did) == (b"", [])


async def test_who_never_reads_its_last_answer_is_dropped(caller: Caller) -> None:
    caller.may_answer.set()
    await caller.send(b"GET / HTTP/1.0\r\n\r\n")
    assert caller.transport.did == ["close"]
    caller.transport.buffered = 500
    swept(caller.connection, 100, 99 + KEEP_ALIVE)
    caller.transport.buffered = 400  # It reads, slowly.
    swept(caller.connection, 101 + KEEP_ALIVE, 100 + 2 * KEEP_ALIVE)
    assert "abort" not in caller.transport.did
    swept(caller.connection, 102 + 2 * KEEP_ALIVE)
    assert "abort" in caller.transport.did


DRAINS: dict[str, tuple[bytes, Callable[[Caller], bool]]] = {
    "idle": (b"", lambda caller: caller.transport.did[:1] == ["close"]),
    "half a head": (b"GET / HT", lambda caller: caller.transport.did == []),
    "in flight": (GET % 1, lambda caller: caller.transport.did == []),
}


@pytest.mark.parametrize("name", DRAINS)
async def test_a_drain_ends_what_is_idle(caller: Caller, name: str) -> None:
    data, holds = DRAINS[name]
    await caller.send(data)
    caller.connection.begin_drain()
    assert holds(caller)
    caller.may_answer.set()
    await caller.send(b"TP/1.1\r\nHost: x\r\n\r\n" if name == "half a head" else b"")
    if name != "idle":
        assert b"connection: close\r\n" in caller.transport.written
        assert caller.transport.did == ["close"]


async def test_shutdown_ends_everything(caller: Caller) -> None:
    await caller.send(GET % 1)
    await caller.connections.shutdown(1.0)
    assert caller.cancelled == 1
    assert "close" in caller.transport.did


async def test_the_address_of_a_caller(caller: Caller) -> None:
    seen: list[str | None] = []

    async def serve(request: Request) -> None:
        seen.append(request.peer)

    connection = RawConnections(serve)()
    transport = Transport()
    transport._extra = {"peername": ("192.0.2.1", 1)}  # type: ignore[attr-defined]
    connection.connection_made(cast("asyncio.BaseTransport", transport))
    connection.data_received(GET % 1)
    await turns()
    connection.connection_lost(None)
    await turns()
    assert seen == ["192.0.2.1"]
