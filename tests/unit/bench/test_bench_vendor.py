"""The mock vendor, judged by the official SDK and, where that is too polite, by raw bytes."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI

from bench import answers, vendor

ASKED = b'{"model":"%s","messages":[{"role":"user","content":"hi"}]%s}'


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await vendor.start()
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def client(port: int) -> AsyncIterator[AsyncOpenAI]:
    url = f"http://127.0.0.1:{port}/v1"
    async with AsyncOpenAI(base_url=url, api_key="sk-test", max_retries=0) as made:
        yield made


def post(body: bytes, *, path: bytes = b"/v1/chat/completions", more: bytes = b"") -> bytes:
    head = b"POST %s HTTP/1.1\r\nHost: vendor\r\nContent-Length: %d\r\n%s\r\n"
    return head % (path, len(body), more) + body


async def read_head(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    return head.split(b"\r\n", 1)[0], head


async def read_stream(reader: asyncio.StreamReader) -> list[bytes]:
    """The chunks of a chunked body, as they were framed."""
    frames = []
    while (size := int(await reader.readline(), 16)) > 0:
        frames.append(await reader.readexactly(size))
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readexactly(2) == b"\r\n"
    return frames


async def test_sdk_reads_a_chat_completion(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="bench-chat", messages=[{"role": "user", "content": "hi"}]
    )
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.total_tokens == 270
    assert 450 <= len(answers.CHAT_BODY) <= 600


async def test_sdk_reads_a_stream_with_usage(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="bench-stream-25x1",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text.split() == [f"{number:06d}" for number in range(25)]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 25
    assert not chunks[-1].choices
    assert chunks[-2].choices[0].finish_reason == "stop"


async def test_sdk_sees_no_usage_unless_asked(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="bench-stream-3x0", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    chunks = [chunk async for chunk in stream]
    assert len(chunks) == 4
    assert all(chunk.usage is None for chunk in chunks)


async def test_each_chunk_is_a_write_of_its_own_at_its_pace(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(ASKED % (b"bench-stream-4x40", b',"stream":true')))
    await reader.readuntil(b"\r\n\r\n")
    loop = asyncio.get_running_loop()
    came: list[float] = []
    for _ in range(4):
        piece = await reader.read(65536)
        came.append(loop.time())
        assert piece.count(b"data: ") == 1
    # Only a lower bound: a busy machine may be late, the vendor may never be early.
    assert came[-1] - came[0] > 0.1
    writer.close()
    await writer.wait_closed()


async def test_the_header_chooses_the_plan_over_the_model(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = ASKED % (b"bench-stream-9x0", b',"stream": true')
    writer.write(post(body, more=b"X-Bench-Plan: 2x0-1\r\n"))
    await read_head(reader)
    frames = await read_stream(reader)
    assert len(frames) == 4  # Two numbers, the finish reason, [DONE].
    assert frames[-1] == b"data: [DONE]\n\n"
    writer.close()
    await writer.wait_closed()


async def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    plain = post(ASKED % (b"bench-chat", b""))
    streamed = post(ASKED % (b"bench-stream-3x2", b',"stream":true'))
    writer.write(plain + streamed + post(b"{}", path=b"/v1/files") + streamed + plain)
    order = []
    for kind in ("plain", "stream", "other", "stream", "plain"):
        status, head = await read_head(reader)
        order.append(status.split(b" ")[1])
        if kind == "stream":
            assert len(await read_stream(reader)) == 5
        else:
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
    assert order == [b"200", b"200", b"404", b"200", b"200"]
    writer.close()
    await writer.wait_closed()


async def test_bytes_that_are_not_http_end_with_400(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01 not http\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        (b"50x20", answers.Plan(50, 0.02, 0.0)),
        (b"50x20-300", answers.Plan(50, 0.02, 0.3)),
        (b"50", None),
        (b"x20", None),
        (b"50x20-", None),
    ],
)
def test_plans_are_read(text: bytes, plan: answers.Plan | None) -> None:
    assert answers.read_plan(text) == plan
