"""The fake vendor's bytes and accidents, seen through a plain socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.base import jsonio
from tests.fakes import openai_wire as wire
from tests.fakes.script import FIN, RST, STALL, Pause, Reply, Step, WaitFor
from tests.fakes.vendor import Vendor

GET = b"GET /v1/models HTTP/1.1\r\nhost: v\r\n\r\n"


class Line:
    """A client's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes = GET) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        return await self.reader.read()


@asynccontextmanager
async def dial(vendor: Vendor) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", vendor.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


async def heard(vendor: Vendor, request: bytes = GET) -> bytes:
    """All that comes back until the vendor closes."""
    async with dial(vendor) as line:
        line.send(request)
        return await line.rest()


async def test_framings_byte_for_byte() -> None:
    async with Vendor() as vendor:
        vendor.say(201, [("X-One", "1"), ("x-one", "2")], b"abc", close=True)
        vendor.say(chunks=[b"ab", b"c" * 17], headers=[], close=True)
        vendor.say(chunks=[b"ab", b"c"], headers=[], framing="length", close=True)
        vendor.say(chunks=[b"ab", b"c"], headers=[], framing="close")
        vendor.say(204, headers=[], close=True)
        assert await heard(vendor) == (
            b"HTTP/1.1 201 Created\r\nX-One: 1\r\nx-one: 2\r\n"
            b"content-length: 3\r\nconnection: close\r\n\r\nabc"
        )
        assert await heard(vendor) == (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            b"2\r\nab\r\n11\r\n" + b"c" * 17 + b"\r\n0\r\n\r\n"
        )
        assert await heard(vendor) == (
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc"
        )
        assert await heard(vendor) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc"
        assert await heard(vendor) == b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("after", [0, 2, 3])
async def test_cut_after_so_many_bytes(framing: str, after: int) -> None:
    async with Vendor() as vendor:
        vendor.say(chunks=[b"ab", b"cd"], headers=[], framing=framing, cut_after=after)
        body = (await heard(vendor)).partition(b"\r\n\r\n")[2]
        chunks = {0: b"", 2: b"2\r\nab\r\n", 3: b"2\r\nab\r\n1\r\nc\r\n"}
        assert body == (chunks[after] if framing == "chunked" else b"abcd"[:after])


async def test_reset_is_a_reset_and_fin_is_not() -> None:
    async with Vendor() as vendor:
        vendor.say(chunks=[b"ab", RST])
        vendor.say(before_head=[FIN])
        with pytest.raises(ConnectionResetError):
            await heard(vendor)
        assert await heard(vendor) == b""


async def test_stall_inside_the_head_until_the_client_goes() -> None:
    async with Vendor() as vendor:
        vendor.say(inside_head=[STALL])
        async with dial(vendor) as line:
            line.send()
            assert await line.reader.readexactly(7) == b"HTTP/1."
            assert not vendor.gone.is_set()
        await vendor.gone.wait()
        assert vendor.gone.value == 1


@pytest.mark.parametrize("steps", [[Pause(30)], [WaitFor(asyncio.Event())], [STALL]])
async def test_client_that_goes_is_noticed_whatever_the_script_waits_for(steps: list[Step]) -> None:
    async with Vendor() as vendor:
        vendor.say(chunks=[b"ab", *steps, b"c"])
        async with dial(vendor) as line:
            line.send()
            await line.head()
        await vendor.gone.wait()


async def test_client_that_goes_while_much_is_written_is_noticed() -> None:
    async with Vendor() as vendor:
        vendor.say(chunks=[b"x" * 65536] * 1000)
        async with dial(vendor) as line:
            line.send()
            await line.head()
        await vendor.gone.wait()


async def test_client_that_goes_in_its_upload_is_noticed() -> None:
    async with Vendor() as vendor:
        async with dial(vendor) as line:
            line.send(b"POST /v1/files HTTP/1.1\r\nhost: v\r\ncontent-length: 9\r\n\r\nab")
            await vendor.accepted.wait()
            await line.writer.drain()
            line.writer.write_eof()
            await vendor.gone.wait()
        assert vendor.calls == 0


async def test_client_that_goes_between_requests_is_no_loss() -> None:
    async with Vendor() as vendor:
        async with dial(vendor) as line:
            line.send()
            await line.head()
            await line.reader.readexactly(len(wire.models_body()))
        async with dial(vendor) as line:
            line.send()
            await line.head()
        assert vendor.gone.value == 0
        assert [request.connection for request in vendor.requests] == [1, 2]


async def test_waits_for_the_test() -> None:
    go = asyncio.Event()
    async with Vendor() as vendor:
        vendor.say(chunks=[b"ab", WaitFor(go), b"c"], framing="close", headers=[])
        async with dial(vendor) as line:
            line.send()
            await line.head()
            assert await line.reader.readexactly(2) == b"ab"
            go.set()
            assert await line.rest() == b"c"


async def test_informational_drip_and_raw() -> None:
    async with Vendor() as vendor:
        vendor.say(body=b"{}", informational=[100, 103], close=True)
        vendor.say(body=b"{}", drip=0.0, close=True)
        vendor.say_raw(b"HTTP/9.9 nonsense\r\n", FIN)
        whole = await heard(vendor)
        assert whole.startswith(b"HTTP/1.1 100 ")
        assert b"HTTP/1.1 103 Informational\r\nlink: " in whole
        assert whole.endswith(await heard(vendor))
        assert await heard(vendor) == b"HTTP/9.9 nonsense\r\n"


async def test_reads_chunked_uploads_and_answers_unread_ones() -> None:
    head = b"POST /v1/files HTTP/1.1\r\nHost: v\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with Vendor() as vendor:
        async with dial(vendor) as line:
            line.send(head + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n")
            assert (await line.head()).startswith(b"HTTP/1.1 404 ")
        vendor.say(413, unread=True)
        assert (await heard(vendor, head)).startswith(b"HTTP/1.1 413 ")
        assert [request.body for request in vendor.requests] == [b"abc0123456789", b""]


async def test_idle_connections_can_be_dropped() -> None:
    async with Vendor() as vendor, dial(vendor) as line:
        line.send()
        await line.head()
        await line.reader.readexactly(len(wire.models_body()))
        assert vendor.open == 1
        vendor.drop_idle()
        assert await line.rest() == b""


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST / HTTP/1.1\r\nhost: v\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
        b"POST / HTTP/1.1\r\nhost: v\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\na",
        b"POST / HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: v\r\nbad header: 1\r\n\r\n",
        b"GET  / HTTP/1.1\r\nhost: v\r\n\r\n",
    ],
)
async def test_bad_http_from_the_client_fails_the_test(request_bytes: bytes) -> None:
    with pytest.raises(ExceptionGroup, match="complaints"):
        async with Vendor() as vendor:
            assert b" 500 " in await heard(vendor, request_bytes)


async def test_contradictory_script_fails_the_test() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with Vendor() as vendor:
            vendor.say(body=b"ab", cut_after=3)
            await heard(vendor)
    assert isinstance(caught.value.exceptions[0], ValueError)


async def test_reply_nobody_asked_for_fails_the_test() -> None:
    with pytest.raises(ExceptionGroup, match="complaints"):
        async with Vendor() as vendor:
            vendor.say(500)
    async with Vendor() as vendor:
        vendor.say(500)
        vendor.forget()


async def test_failure_of_the_test_itself_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        async with Vendor() as vendor:
            vendor.say(500)
            raise KeyError


async def test_standing_reply_and_its_own_failures() -> None:
    async with Vendor() as vendor:
        vendor.always(Reply(status=503, body=b"down", close=True))
        assert b"503" in await heard(vendor)
        vendor.always(lambda request: Reply(body=request.target.encode(), close=True))
        assert (await heard(vendor)).endswith(b"/v1/models")
    with pytest.raises(ExceptionGroup, match="complaints"):
        async with Vendor() as vendor:
            vendor.always(lambda request: Reply(body=request.json()["no"]))
            await heard(vendor)


async def test_leaving_ends_stalled_connections() -> None:
    async with Vendor() as vendor:
        vendor.say(before_head=[STALL])
        reader, writer = await asyncio.open_connection("127.0.0.1", vendor.port)
        writer.write(GET)
        await vendor.arrived.wait()
    assert vendor.open == 0
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.transport.abort()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", vendor.port)


def test_chat_events_are_exact() -> None:
    events = wire.chat_events("Hi", usage=True)
    assert events[-1] == b"data: [DONE]\n\n"
    assert events[1] == (
        b'data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1741569952,'
        b'"model":"gpt-4o-mini-2024-07-18","service_tier":"default",'
        b'"system_fingerprint":"fp_06737a9306","choices":[{"index":0,"delta":{"content":"Hi"},'
        b'"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
    )
    last = jsonio.loads(events[-2].removeprefix(b"data: "))
    assert last["choices"] == [] and last["usage"]["total_tokens"] == 21
    assert all(b"usage" not in event for event in wire.chat_events("Hi"))
