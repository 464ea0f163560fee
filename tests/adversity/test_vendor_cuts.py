"""The vendor's answer breaks off, at every place, in every way: the caller must never take what it
got for a whole answer, and what can still be said in OpenAI's shape is said so."""

import asyncio
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.adversity.expect import last_event, still_serves
from tests.fakes import openai_wire as wire
from tests.fakes.tcp import TcpProxy
from tests.fakes.vendor import FIN, RST, Vendor, WaitFor
from tests.integration.gateway import ALL, Gateway, gateway, settings, unbroken
from tests.integration.raw_caller import Caller, request

BOTH_LOOPS = True

CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini"}'
STREAM = b'{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true}}'
ENDS = pytest.mark.parametrize("end", [FIN, RST])
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@ENDS
@pytest.mark.parametrize("body", [SMALL, STREAM])
async def test_before_the_head(proxy: Gateway, vendor: Vendor, end: object, body: bytes) -> None:
    vendor.say_raw(end)  # type: ignore[arg-type]
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=body)
    assert (answer.status, answer.error["code"]) == (502, "upstream_reset")
    assert vendor.calls == 1
    await still_serves(proxy)


@ENDS
@pytest.mark.parametrize("size", [1, 8, 12, 17, 30, len(HEAD)])
async def test_inside_the_head(proxy: Gateway, vendor: Vendor, end: object, size: int) -> None:
    vendor.say_raw(HEAD[:size], end)  # type: ignore[arg-type]
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=SMALL)
    assert (answer.status, answer.error["code"]) == (502, "upstream_reset")
    assert vendor.calls == 1
    await still_serves(proxy)


BODY = wire.chat_body()


@ENDS
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, len(BODY) // 2, len(BODY) - 1])
async def test_inside_a_json_body(
    proxy: Gateway, vendor: Vendor, end: object, framing: str, size: int
) -> None:
    vendor.say(
        body=BODY,
        framing=framing,
        cut_after=size,
        cut=end,  # type: ignore[arg-type]
    )
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=SMALL)
    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    assert answer.error["code"] in {"upstream_cut", "upstream_reset"}
    await still_serves(proxy)


async def test_without_the_last_chunk(proxy: Gateway, vendor: Vendor) -> None:
    framed = b"%x\r\n%b\r\n" % (len(BODY), BODY)
    vendor.say_raw(HEAD + b"transfer-encoding: chunked\r\n\r\n" + framed, FIN)
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=SMALL)
    assert (answer.status, answer.error["code"]) == (502, "upstream_cut")


async def test_a_length_that_is_too_long(proxy: Gateway, vendor: Vendor) -> None:
    vendor.say_raw(HEAD + b"content-length: %d\r\n\r\n" % (len(BODY) + 1) + BODY, FIN)
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=SMALL)
    assert (answer.status, answer.error["code"]) == (502, "upstream_cut")


async def test_a_length_that_is_too_short(proxy: Gateway, vendor: Vendor) -> None:
    """The surplus must not become the beginning of the next answer."""
    surplus = HEAD + b"content-length: 8\r\n\r\nsmuggled"
    vendor.say_raw(HEAD + b"content-length: 2\r\n\r\n{}" + surplus)
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=SMALL)
    assert (answer.status, answer.body) == (200, b"{}")
    again = await caller.ask("POST", CHAT, body=SMALL)
    assert again.json()["object"] == "chat.completion"
    assert vendor.connections == 2


@ENDS
async def test_a_large_json_body_is_cut_after_some_of_it_went_out(
    proxy: Gateway, vendor: Vendor, end: object
) -> None:
    gate = asyncio.Event()
    body = b'{"data":"' + b"x" * 3_000_000
    vendor.say(chunks=[body, WaitFor(gate), end])  # type: ignore[list-item]
    caller = await proxy.call()
    await caller.send(request("POST", "/v1/images/generations", body=SMALL))
    await caller.head()
    gate.set()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        while await caller.chunk():
            pass
    await still_serves(proxy)


@ENDS
@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_inside_a_binary_body(
    proxy: Gateway, vendor: Vendor, end: object, version: str
) -> None:
    """Also an HTTP/1.0 caller, for which a close is an end, must see that it is none."""
    gate = asyncio.Event()
    vendor.say(
        headers=[("content-type", "audio/mpeg")],
        chunks=[b"sound" * 100, WaitFor(gate), end],  # type: ignore[list-item]
    )
    caller = await proxy.call()
    await caller.send(request("POST", "/v1/audio/speech", body=SMALL, version=version))
    await caller.head()
    gate.set()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        while await caller.reader.readexactly(1):
            pass
    await still_serves(proxy)


async def test_an_http_1_0_caller_is_reset_when_a_body_is_cut(
    proxy: Gateway, vendor: Vendor
) -> None:
    gate = asyncio.Event()
    vendor.say(headers=[("content-type", "audio/mpeg")], chunks=[b"sound", WaitFor(gate), FIN])
    caller = await proxy.call()
    await caller.send(request("POST", "/v1/audio/speech", body=SMALL, version="1.0"))
    head = await caller.head()
    assert head.framing == "close"
    assert await caller.reader.readexactly(5) == b"sound"
    gate.set()
    with pytest.raises(ConnectionResetError):
        await caller.reader.readexactly(1)


async def test_an_http_1_0_caller_is_reset_when_the_service_ends_first(
    proxy: Gateway, vendor: Vendor
) -> None:
    gate = asyncio.Event()
    vendor.say(headers=[("content-type", "audio/mpeg")], chunks=[b"sound", WaitFor(gate), FIN])
    caller = await proxy.call()
    await caller.send(request("POST", "/v1/audio/speech", body=SMALL, version="1.0"))
    await caller.head()
    assert await caller.reader.readexactly(5) == b"sound"
    await proxy.app.stop(0.02)
    with pytest.raises(ConnectionResetError):
        await caller.reader.readexactly(1)


EVENTS = wire.chat_events("one", "two", "three", usage=True)
PLACES = [
    len(EVENTS[0]),
    len(EVENTS[0]) + 1,
    len(EVENTS[0]) + len(EVENTS[1]) - 1,
    len(EVENTS[0]) + len(EVENTS[1]),
    len(b"".join(EVENTS)) - len(EVENTS[-1]),
]


@ENDS
@pytest.mark.parametrize("place", PLACES)
async def test_inside_a_stream(proxy: Gateway, vendor: Vendor, end: object, place: int) -> None:
    """What went out before is whole events; then the error; then the end, properly framed."""
    gate = asyncio.Event()
    whole = b"".join(EVENTS)
    steps = [whole[: place - 1], whole[place - 1 : place], WaitFor(gate), end]
    vendor.say(headers=wire.EVENT_STREAM, chunks=steps)  # type: ignore[arg-type]
    caller = await proxy.call()
    await caller.send(request("POST", CHAT, body=STREAM))
    async with asyncio.timeout(5):
        assert (await caller.head()).status == 200
        body = await caller.chunk()  # Only now is it too late for a 502.
        gate.set()
        while part := await caller.chunk():
            body += part
    assert last_event(body)["type"] == "upstream_error"
    before = body[: body.index(b"event: error")]
    assert whole.startswith(before) and before.endswith(b"\n\n")
    await still_serves(proxy)


@ENDS
async def test_a_stream_that_has_said_done_is_whole_however_the_connection_ends(
    proxy: Gateway, vendor: Vendor, end: object
) -> None:
    gate = asyncio.Event()
    whole = b"".join(EVENTS)
    steps = [whole[:-1], WaitFor(gate), end]
    vendor.say(headers=wire.EVENT_STREAM, chunks=steps)  # type: ignore[arg-type]
    caller = await proxy.call()
    await caller.send(request("POST", CHAT, body=STREAM))
    await caller.head()
    body = await caller.chunk()
    gate.set()
    while part := await caller.chunk():
        body += part
    assert body == whole
    await still_serves(proxy)


async def test_a_stream_that_ends_in_order_but_unfinished(proxy: Gateway, vendor: Vendor) -> None:
    """HTTP says that all is well; the stream itself says that it is not."""
    vendor.say(headers=wire.EVENT_STREAM, chunks=EVENTS[:3])
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=STREAM)
    assert last_event(answer.body)["code"] == "upstream_cut"


async def test_a_response_that_ends_in_order_but_unfinished(proxy: Gateway, vendor: Vendor) -> None:
    vendor.say(headers=wire.EVENT_STREAM, chunks=wire.response_events()[:-1])
    caller = await proxy.call()
    answer = await caller.ask("POST", "/v1/responses", body=STREAM)
    assert last_event(answer.body)["code"] == "upstream_cut"


async def test_a_stream_that_only_forgot_done_gets_it(proxy: Gateway, vendor: Vendor) -> None:
    vendor.say(headers=wire.EVENT_STREAM, chunks=EVENTS[:-1])
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=STREAM)
    assert answer.body == b"".join(EVENTS)


@ENDS
async def test_a_stream_framed_by_the_close_is_judged_by_its_last_event(
    proxy: Gateway, vendor: Vendor, end: object
) -> None:
    caller = await proxy.call()
    vendor.say(headers=wire.EVENT_STREAM, chunks=EVENTS, framing="close")
    whole = await caller.ask("POST", CHAT, body=STREAM)
    assert whole.body == b"".join(EVENTS)
    gate = asyncio.Event()
    steps = [*EVENTS[:3], WaitFor(gate), end]
    vendor.say(headers=wire.EVENT_STREAM, chunks=steps, framing="close")  # type: ignore[arg-type]
    await caller.send(request("POST", CHAT, body=STREAM))
    await caller.head()
    body = await caller.chunk()
    gate.set()
    while part := await caller.chunk():
        body += part
    assert last_event(body)["code"] == "upstream_cut"


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_cut_at_every_hundredth_byte_of_the_connection(vendor: Vendor, reset: bool) -> None:
    """Whatever the network does, the caller gets an error or the whole, and never half."""
    link = TcpProxy(vendor.port)
    async with link:
        configuration = settings(f"http://127.0.0.1:{link.port}/v1")
        seen = await _cut_everywhere(link, unbroken(configuration), reset)
    assert seen == {200, 502}


async def _cut_everywhere(link: TcpProxy, configuration: dict[str, Any], reset: bool) -> set[int]:
    async with gateway(configuration) as proxy:
        whole = b"".join(wire.chat_events(usage=True, model="gpt-4o-mini"))
        size, seen = 1, set()
        while True:
            (link.reset_after if reset else link.cut_after)(size)
            caller = await proxy.call()
            answer = await caller.ask("POST", CHAT, body=STREAM)
            if answer.status == 200 and answer.body == whole:
                break
            if answer.status == 200:
                last_event(answer.body)
            else:
                assert answer.status == 502 and answer.error["type"] == "upstream_error"
            seen.add(answer.status)
            caller.leave()
            size += 97
        return seen


async def test_the_sdk_raises_when_a_stream_is_cut(proxy: Gateway, vendor: Vendor) -> None:
    gate = asyncio.Event()
    vendor.say(headers=wire.EVENT_STREAM, chunks=[EVENTS[0], EVENTS[1], WaitFor(gate), RST])
    texts = []
    async with AsyncOpenAI(base_url=proxy.url, api_key=ALL, max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "x"}], stream=True
        )
        with pytest.raises(openai.APIError) as caught:
            async for part in stream:
                texts.append(part.choices[0].delta.content)
                gate.set()
    assert "one" in texts
    assert caught.value.code in {"upstream_cut", "upstream_reset"}


async def test_an_upload_s_answer_is_cut(proxy: Gateway, vendor: Vendor) -> None:
    vendor.say_raw(HEAD[:20], RST)
    caller = await proxy.call()
    answer = await caller.ask("POST", "/v1/files", body=b"x" * 300_000)
    assert (answer.status, answer.error["code"]) == (502, "upstream_reset")
    assert isinstance(caller, Caller)
    await still_serves(proxy)
