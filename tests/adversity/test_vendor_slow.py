"""The vendor stalls or drips: each deadline ends what it is for, and nothing else."""

import asyncio

import pytest

from proxy.base.clock import monotonic
from tests.adversity.expect import eventually, last_event
from tests.fakes import openai_wire as wire
from tests.fakes.vendor import STALL, Pause, Vendor, WaitFor
from tests.integration.gateway import Gateway, gateway, provider, settings
from tests.integration.raw_caller import request

CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini"}'
STREAM = b'{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true}}'
EVENTS = wire.chat_events("one", "two", usage=True)
ANOTHER = 15  # Seconds: until then it was not the deadline for the whole, however busy the machine.


@pytest.mark.parametrize("body", [SMALL, STREAM])
@pytest.mark.parametrize("where", ["before_head", "inside_head"])
async def test_a_stall_before_the_body_is_a_504(
    impatient: Gateway, vendor: Vendor, body: bytes, where: str
) -> None:
    steps = [STALL]
    vendor.say(
        before_head=steps if where == "before_head" else (),
        inside_head=steps if where == "inside_head" else (),
    )
    started = monotonic()
    caller = await impatient.call()
    answer = await caller.ask("POST", CHAT, body=body)
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    assert answer.error["type"] == "timeout"
    assert 0.2 < monotonic() - started < ANOTHER
    await vendor.gone.wait()


async def test_a_head_without_a_body_is_a_504_too(impatient: Gateway, vendor: Vendor) -> None:
    """Vendors send the head at once and think afterwards: the deadline is for the first byte."""
    vendor.say(headers=wire.EVENT_STREAM, chunks=[STALL])
    caller = await impatient.call()
    answer = await caller.ask("POST", CHAT, body=STREAM)
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    await vendor.gone.wait()


async def test_a_stall_inside_json_is_a_504(impatient: Gateway, vendor: Vendor) -> None:
    body = wire.chat_body()
    vendor.say(chunks=[body[:50], STALL])
    caller = await impatient.call()
    answer = await caller.ask("POST", CHAT, body=SMALL)
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    await vendor.gone.wait()


async def test_a_stall_inside_a_stream_is_an_error_event(
    impatient: Gateway, vendor: Vendor
) -> None:
    vendor.say(headers=wire.EVENT_STREAM, chunks=[EVENTS[0], EVENTS[1][:9], STALL])
    started = monotonic()
    caller = await impatient.call()
    answer = await caller.ask("POST", CHAT, body=STREAM)
    assert answer.status == 200
    error = last_event(answer.body)
    assert (error["code"], error["type"]) == ("upstream_timeout", "timeout")
    assert answer.body.startswith(EVENTS[0] + b"event: error")
    assert 0.2 < monotonic() - started < ANOTHER
    await vendor.gone.wait()


async def test_a_stall_inside_a_binary_body_closes(impatient: Gateway, vendor: Vendor) -> None:
    vendor.say(headers=[("content-type", "audio/mpeg")], chunks=[b"sound", STALL])
    caller = await impatient.call()
    with pytest.raises(asyncio.IncompleteReadError):
        await caller.ask("POST", "/v1/audio/speech", body=SMALL)


async def test_the_total_deadline_ends_a_stream_that_never_falls_silent(vendor: Vendor) -> None:
    brief = provider(vendor.url, timeouts={"total": "400ms"})
    config = settings(vendor, providers={"vendor": brief, "demo": {"kind": "demo"}})
    async with gateway(config) as proxy:
        beat: list[bytes | Pause] = [EVENTS[0], Pause(0.02)]
        vendor.say(headers=wire.EVENT_STREAM, chunks=beat * 500)
        caller = await proxy.call()
        answer = await caller.ask("POST", CHAT, body=STREAM)
        assert last_event(answer.body)["code"] == "upstream_timeout"
        assert answer.body.count(EVENTS[0]) > 5


async def test_a_slow_stream_is_not_a_silent_one(impatient: Gateway, vendor: Vendor) -> None:
    """Longer in all than the idle deadline, and than that for the first byte."""
    steps: list[bytes | Pause] = []
    for event in EVENTS:
        steps += [Pause(0.1), event]
    vendor.say(headers=wire.EVENT_STREAM, chunks=steps)
    caller = await impatient.call()
    answer = await caller.ask("POST", CHAT, body=STREAM)
    assert answer.body == b"".join(EVENTS)


@pytest.mark.parametrize("body", [SMALL, STREAM])
async def test_an_answer_byte_by_byte_is_whole(
    impatient: Gateway, vendor: Vendor, body: bytes
) -> None:
    if body is STREAM:
        vendor.say(headers=wire.EVENT_STREAM, chunks=EVENTS, drip=0)
        wanted = b"".join(EVENTS)
    else:
        wanted = wire.chat_body()
        vendor.say(body=wanted, drip=0)
    caller = await impatient.call()
    answer = await caller.ask("POST", CHAT, body=body)
    assert (answer.status, answer.body) == (200, wanted)


async def test_a_caller_that_pauses_is_not_the_vendor_s_silence(
    impatient: Gateway, vendor: Vendor
) -> None:
    """While the caller keeps us waiting, the vendor's idle deadline does not run."""
    size, count = 64 * 1024, 400
    event = b"data: " + b"x" * (size - 8) + b"\n\n"
    done = [*EVENTS[-3:]]
    vendor.say(headers=wire.EVENT_STREAM, chunks=[event] * count + done)
    caller = await impatient.call(receive_buffer=16 * 1024)
    await caller.send(request("POST", CHAT, body=STREAM))
    await caller.head()
    await asyncio.sleep(0.8)  # Three times the idle deadline.
    total = 0
    while part := await caller.chunk():
        total += len(part)
    assert total == size * count + len(b"".join(done))


async def test_a_vendor_that_does_not_take_the_body(impatient: Gateway, vendor: Vendor) -> None:
    """An upload into a full socket is ended by the idle deadline."""
    vendor.say(unread=True, before_head=[STALL])
    caller = await impatient.call()
    size = 20 * 1024 * 1024
    head = request("POST", "/v1/files", headers=[("content-length", str(size))])
    caller.writer.write(head + b"x" * size)
    answer = await caller.answer()
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    await eventually(lambda: not impatient.upstream_open())


async def test_a_vendor_that_answers_before_the_upload_is_over(
    proxy: Gateway, vendor: Vendor
) -> None:
    """Its refusal reaches the caller at once, and the rest of the body is not waited for."""
    gate = asyncio.Event()
    vendor.say(400, body=wire.error_body("Wrong purpose"), unread=True, before_head=[WaitFor(gate)])
    caller = await proxy.call()
    await caller.send(request("POST", "/v1/files", headers=[("content-length", "10")]) + b"01234")
    await vendor.arrived.wait()
    gate.set()
    async with asyncio.timeout(4):
        answer = await caller.answer()
    assert (answer.status, answer.error["message"]) == (400, "Wrong purpose")
