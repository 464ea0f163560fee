"""The load generator against servers that lie: everything that is wrong must be found and named."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bench import answers, drivers, requests, vendor
from bench.tally import Report, Tally, spread

NUMBERS = answers.Frames().up_to(5)
END = answers.stream_end(5, usage=False)
WHOLE = answers.STREAM_HEAD + b"".join(NUMBERS[:5]) + END
FAILED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def scripted(reply: bytes, *, then_close: bool = False) -> AsyncIterator[int]:
    """A server that gives the same bytes to every request."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(reply)
                await writer.drain()
                if then_close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def request(*, chunks: int | None = 5, length: int | None = None) -> requests.Request:
    body = requests.chat_body(1, "bench-stream-5x0", stream=chunks is not None)
    data = requests.post("vendor", "/v1/chat/completions", "sk", body)
    return requests.Request(data, chunks, length)


async def closed(port: int, asked: requests.Request, *, silence: float = 5.0) -> Report:
    tally = Tally({})
    target = drivers.Target("127.0.0.1", port, asked, silence)
    await drivers.closed_loop(target, tally, concurrency=2, warmup=0.02, seconds=0.3)
    return tally.report()


async def test_whole_streams_are_found_whole() -> None:
    async with scripted(WHOLE) as port:
        report = await closed(port, request())
    assert report.errors == {}
    assert report.broken == 0
    assert report.streams_whole > 0
    assert report.requests > 0
    assert report.chunks > 0
    assert report.latency is not None
    assert report.latency.p50 <= report.latency.p999 <= report.latency.most


@pytest.mark.parametrize(
    ("wrong", "body"),
    [
        ("missing_chunk", [*NUMBERS[:2], *NUMBERS[3:5], END]),
        ("repeated_chunk", [*NUMBERS[:3], *NUMBERS[2:5], END]),
        ("missing_chunk", [NUMBERS[0], NUMBERS[2], NUMBERS[1], *NUMBERS[3:5], END]),
        ("no_done", [*NUMBERS[:5], b"0\r\n\r\n"]),
        ("too_few_chunks", [*NUMBERS[:4], END]),
        ("error_event", [*NUMBERS[:2], b'19\r\ndata: {"error":{"a":1}}\n\n\r\n0\r\n\r\n']),
    ],
)
async def test_broken_streams_are_named(wrong: str, body: list[bytes]) -> None:
    async with scripted(answers.STREAM_HEAD + b"".join(body)) as port:
        report = await closed(port, request())
    assert set(report.errors) == {wrong}
    assert report.broken == report.errors[wrong] > 0
    assert report.streams_whole == 0


async def test_a_stream_that_is_cut_is_broken() -> None:
    async with scripted(answers.STREAM_HEAD + b"".join(NUMBERS[:3]), then_close=True) as port:
        report = await closed(port, request())
    assert set(report.errors) <= {"cut", "reset"}
    assert report.broken > 0


async def test_a_stream_that_stalls_is_dropped_in_time() -> None:
    async with scripted(answers.STREAM_HEAD + NUMBERS[0]) as port:
        report = await closed(port, request(), silence=0.05)
    assert set(report.errors) == {"timeout"}
    assert report.broken >= 2


@pytest.mark.parametrize(
    ("wrong", "reply", "length"),
    [
        ("status_503", FAILED, None),
        ("length", answers.CHAT, len(answers.CHAT_BODY) + 1),
        ("malformed", b"SMTP ready\r\n\r\n", None),
    ],
)
async def test_wrong_answers_are_named(wrong: str, reply: bytes, length: int | None) -> None:
    async with scripted(reply) as port:
        report = await closed(port, request(chunks=None, length=length))
    assert set(report.errors) == {wrong}
    assert report.requests == 0


async def test_nobody_there_is_an_error_not_an_answer() -> None:
    async with scripted(WHOLE) as port:
        pass
    report = await closed(port, request())
    assert set(report.errors) == {"connect"}


async def test_right_answers_count_as_requests() -> None:
    async with scripted(answers.CHAT) as port:
        report = await closed(port, request(chunks=None, length=len(answers.CHAT_BODY)))
    assert report.errors == {}
    assert report.requests > 0
    assert report.requests_per_second > 0


async def hold(port: int, *, chunks: int, due: int) -> Report:
    body = requests.chat_body(1, requests.stream_model(chunks, 10), stream=True)
    data = requests.post("vendor", "/v1/chat/completions", "sk", body)
    tally = Tally({})
    target = drivers.Target("127.0.0.1", port, requests.Request(data, due))
    await drivers.held(target, tally, streams=30, ramp=0.1, seconds=0.2, length=1.0)
    return tally.report()


async def test_streams_are_ramped_up_and_held_to_their_end() -> None:
    server = await vendor.start()
    async with server:
        report = await hold(server.sockets[0].getsockname()[1], chunks=60, due=60)
    assert (report.streams_held, report.streams_whole, report.broken) == (30, 30, 0)
    assert report.errors == {}
    assert report.chunks >= 30
    assert report.first_token is not None


async def test_a_held_stream_that_ends_early_is_broken() -> None:
    server = await vendor.start()
    async with server:
        report = await hold(server.sockets[0].getsockname()[1], chunks=30, due=60)
    assert report.errors == {"too_few_chunks": 30}
    assert (report.broken, report.streams_whole) == (30, 0)


def numbered(count: int) -> Callable[[float], float]:
    return lambda share: (int(share * count) + 1) * 1000.0


def test_quantiles_are_nearest_rank_in_milliseconds() -> None:
    found = spread(array("d", [float(n) for n in range(1000, 0, -1)]))
    rank = numbered(1000)
    assert found is not None
    assert (found.p50, found.p90, found.p99) == (rank(0.5), rank(0.9), rank(0.99))
    assert found.most == 1_000_000.0
    assert spread(array("d")) is None


@pytest.mark.parametrize("kilobytes", [1, 20, 200])
def test_bodies_have_the_size_they_say(kilobytes: int) -> None:
    assert len(requests.chat_body(kilobytes, "m", stream=True)) == kilobytes * 1000
