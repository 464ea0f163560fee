"""The demo vendor's Transport and Answer, against the promises in `proxy/core/ports.py`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from proxy.base import jsonio
from proxy.base.errors import Cut, Malformed, TimedOut
from proxy.core.outgoing import Outgoing, Timeouts
from proxy.core.ports import Answer, Transport
from proxy.demo import transport as transport_module
from proxy.demo.answer import DemoAnswer
from proxy.demo.content import Content
from proxy.demo.transport import DemoTransport

PATIENT = Timeouts()
CHAT = {"model": "demo-1", "messages": [{"role": "user", "content": "Hello"}]}


class Parts:
    """An Upload that comes in parts."""

    def __init__(self, *parts: bytes) -> None:
        self.length: int | None = None
        self.started = False
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            self.started = True
            yield part


async def send(
    target: str = "/v1/chat/completions",
    *,
    delay: float = 0.0,
    timeouts: Timeouts = PATIENT,
    **more: Any,
) -> Answer:
    transport: Transport = DemoTransport(delay)
    outgoing = Outgoing("POST", target, [], jsonio.dumps(CHAT | more))
    return await transport.send(outgoing, timeouts)


async def test_whole_answer_is_there_at_once() -> None:
    answer = await send()
    assert answer.status == 200
    await answer.ready()
    body = answer.take()
    assert body is not None
    headers = dict(answer.headers)
    assert headers[b"content-length"] == str(len(body)).encode()
    assert headers[b"content-type"] == b"application/json"
    assert answer.take() is None
    answer.abort()


async def test_read_pump_and_take_give_the_same() -> None:
    heard: list[bytes] = []
    await (await send()).pump(heard.append)
    assert b"".join(heard) == (await send()).take() == await (await send()).read(100_000)


async def test_read_refuses_what_is_too_large() -> None:
    answer = await send()
    with pytest.raises(Malformed):
        await answer.read(10)
    assert len(await (await send(stream=True)).read(100_000)) > 1000


async def test_stream_comes_one_event_at_a_time_and_ends_with_done() -> None:
    answer = await send(stream=True)
    assert answer.take() is None
    await answer.ready()
    heard: list[bytes] = []
    await answer.pump(heard.append)
    assert all(part.startswith(b"data: ") and part.endswith(b"\n\n") for part in heard)
    assert [part.count(b"data: ") for part in heard] == [1] * len(heard)
    assert len(heard) > 10
    assert heard[-1] == b"data: [DONE]\n\n"
    answer.abort()


async def test_what_came_before_the_pump_is_delivered_first() -> None:
    answer = await send(stream=True)
    await answer.ready()
    for _ in range(3):
        await asyncio.sleep(0)
    heard: list[bytes] = []
    await answer.pump(heard.append)
    assert b"".join(heard) == await (await send(stream=True)).read(100_000)


async def test_take_gives_a_stream_that_has_ended() -> None:
    answer = await send(stream=True)
    body: bytes | None = None
    while body is None:
        await asyncio.sleep(0)
        body = answer.take()
    assert body.endswith(b"data: [DONE]\n\n")


async def test_pause_stops_the_parts_and_resume_brings_them() -> None:
    answer = await send(stream=True)
    heard: list[bytes] = []
    third = asyncio.Event()

    def sink(part: bytes) -> None:
        heard.append(part)
        if len(heard) == 3:
            answer.pause()
            answer.pause()
            third.set()

    pumping = asyncio.get_running_loop().create_task(answer.pump(sink))
    await third.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(heard) == 3
    assert not pumping.done()
    answer.resume()
    answer.resume()
    await pumping
    assert b"".join(heard) == await (await send(stream=True)).read(100_000)


async def test_pause_before_the_first_part() -> None:
    answer = await send(stream=True)
    answer.pause()
    waiting = asyncio.get_running_loop().create_task(answer.ready())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    answer.resume()
    await waiting
    answer.abort()


async def test_abort_from_the_sink_is_never_a_success() -> None:
    answer = await send(stream=True)
    heard: list[bytes] = []

    def sink(part: bytes) -> None:
        heard.append(part)
        answer.abort()

    with pytest.raises(Cut):
        await answer.pump(sink)
    answer.abort()
    answer.resume()
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(heard) == 1


@pytest.mark.parametrize("wait", ["ready", "read", "pump"])
async def test_abort_wakes_whoever_waits(wait: str) -> None:
    answer = await send(stream=True, delay=30.0)
    waits: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "ready": answer.ready,
        "read": lambda: answer.read(1000),
        "pump": lambda: answer.pump(lambda part: None),
    }
    waiting = asyncio.get_running_loop().create_task(waits[wait]())
    await asyncio.sleep(0)
    answer.abort()
    with pytest.raises(Cut):
        await waiting


async def test_abort_before_reading() -> None:
    for stream in (True, False):
        answer = await send(stream=stream)
        answer.abort()
        assert answer.take() is None
        with pytest.raises(Cut):
            await answer.pump(lambda part: None)


async def test_cancelled_pump_delivers_no_more() -> None:
    answer = await send(stream=True)
    heard: list[bytes] = []
    second = asyncio.Event()

    def sink(part: bytes) -> None:
        heard.append(part)
        if len(heard) == 2:
            second.set()

    pumping = asyncio.get_running_loop().create_task(answer.pump(sink))
    await second.wait()
    pumping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pumping
    count = len(heard)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(heard) == count


async def test_sink_that_fails_ends_the_answer() -> None:
    answer = await send(stream=True)
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    def sink(part: bytes) -> None:
        raise KeyError(part)

    with pytest.raises(Cut):
        await answer.pump(sink)
    assert isinstance(reported[0]["exception"], KeyError)


async def test_body_can_be_had_once() -> None:
    answer = await send()
    await answer.read(100_000)
    with pytest.raises(RuntimeError):
        await answer.pump(lambda part: None)


@pytest.mark.parametrize("stream", [True, False])
async def test_delay_paces(stream: bool) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    answer = await send(stream=stream, max_tokens=1, delay=0.03)
    answer.resume()  # Without a pause it must not make the parts come faster.
    heard: list[bytes] = []
    await answer.pump(heard.append)
    passed = loop.time() - begun
    # A role, a word, the finish and [DONE]; never faster than declared.
    assert passed >= (4 if stream else 1) * 0.03 - 0.005


@pytest.mark.parametrize(
    ("timeouts", "phase"),
    [
        (Timeouts(first_token=0.01), "first_token"),
        (Timeouts(total=0.01), "total"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_deadlines_before_the_first_part(
    timeouts: Timeouts, phase: str, stream: bool
) -> None:
    with pytest.raises(TimedOut) as caught:
        await (await send(stream=stream, delay=30.0, timeouts=timeouts)).ready()
    assert caught.value.phase == phase


@pytest.mark.parametrize(
    ("timeouts", "phase"),
    [(Timeouts(idle=0.001), "idle"), (Timeouts(total=0.1), "total")],
)
async def test_deadlines_between_parts(timeouts: Timeouts, phase: str) -> None:
    answer = await send(stream=True, delay=0.03, timeouts=timeouts)
    heard: list[bytes] = []
    with pytest.raises(TimedOut) as caught:
        await answer.pump(heard.append)
    assert caught.value.phase == phase
    assert heard


async def test_no_deadline_after_the_end() -> None:
    answer = await send(stream=True, max_tokens=1, timeouts=Timeouts(total=0.05))
    await answer.ready()
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.06, passed.set)
    await passed.wait()
    assert (await answer.read(100_000)).endswith(b"data: [DONE]\n\n")


async def test_total_deadline_holds_while_paused() -> None:
    answer = await send(stream=True, timeouts=Timeouts(total=0.02))
    answer.pause()
    with pytest.raises(TimedOut):
        await answer.pump(lambda part: None)


async def test_upload_is_read_in_parts() -> None:
    body = (
        b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n'
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n',
        b"abc",
        b"defg\r\n--x--\r\n",
    )
    headers = [(b"Content-Type", b"multipart/form-data; boundary=x")]
    outgoing = Outgoing("POST", "/v1/audio/transcriptions", headers, Parts(*body))
    answer = await DemoTransport(0).send(outgoing, PATIENT)
    assert b"a file of 7 bytes" in await answer.read(10_000)


async def test_upload_that_is_too_large_is_a_413(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "MOST_BYTES", 10)
    outgoing = Outgoing("POST", "/v1/audio/transcriptions", [], Parts(b"12345678", b"12345678"))
    assert (await DemoTransport(0).send(outgoing, PATIENT)).status == 413


async def test_unknown_operation_is_a_404_and_takes_no_upload() -> None:
    upload = Parts(b"abc")
    answer = await DemoTransport(0).send(Outgoing("POST", "/v1/files", [], upload), PATIENT)
    assert answer.status == 404
    assert not upload.started


async def test_close_changes_nothing() -> None:
    transport = DemoTransport(0)
    transport.close()
    transport.close()
    answer = await transport.send(Outgoing("GET", "/v1/models", [], b""), PATIENT)
    assert answer.status == 200


async def test_empty_stream_is_ready_and_ends() -> None:
    answer = DemoAnswer(Content(200, "audio/pcm", (), paced=True), 0.0, PATIENT)
    await answer.ready()
    assert answer.take() == b""
