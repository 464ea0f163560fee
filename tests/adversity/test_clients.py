"""Callers that are slow, or gone: the vendor is let go within a second, memory stays bounded, and
nothing of the request outlives it."""

import asyncio
import gc

import pytest

from tests.adversity.expect import CHAT, MB, SMALL, eventually, resident
from tests.fakes import openai_wire as wire
from tests.fakes.tcp import TcpProxy
from tests.fakes.vendor import STALL, Pause, Reply, Request, Vendor
from tests.integration.gateway import Gateway, gateway, settings
from tests.integration.raw_caller import request

BOTH_LOOPS = True
BOTH_SERVERS = True

STREAM = b'{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true}}'
EVENTS = wire.chat_events("one", "two", usage=True)


async def let_go(proxy: Gateway, vendor: Vendor, count: int = 1) -> None:
    """Within a second the vendor has seen the close, and no connection to it is busy."""
    async with asyncio.timeout(1):
        await vendor.gone.reach(count)
        await eventually(lambda: not proxy.upstream_open())


def others_tasks() -> set[asyncio.Task[object]]:
    """All tasks but those of the fake vendor."""
    return {task for task in asyncio.all_tasks() if not task.get_name().startswith("vendor-")}


async def test_gone_while_waiting_for_the_head(proxy: Gateway, vendor: Vendor) -> None:
    vendor.say(before_head=[STALL])
    caller = await proxy.call()
    await caller.send(request("POST", CHAT, body=SMALL))
    await vendor.arrived.wait()
    caller.leave()
    await let_go(proxy, vendor)


async def test_gone_in_the_middle_of_a_stream(proxy: Gateway, vendor: Vendor) -> None:
    vendor.say(headers=wire.EVENT_STREAM, chunks=[EVENTS[0], STALL])
    caller = await proxy.call()
    await caller.send(request("POST", CHAT, body=STREAM))
    await caller.head()
    await caller.chunk()
    caller.leave()
    await let_go(proxy, vendor)


async def test_gone_in_the_middle_of_json(proxy: Gateway, vendor: Vendor) -> None:
    vendor.say(chunks=[wire.chat_body()[:100], STALL])
    caller = await proxy.call()
    await caller.send(request("POST", CHAT, body=SMALL))
    await vendor.arrived.wait()
    caller.leave()
    await let_go(proxy, vendor)


@pytest.mark.parametrize("chunked", [False, True])
async def test_gone_in_the_middle_of_an_upload(
    proxy: Gateway, vendor: Vendor, chunked: bool
) -> None:
    framing = ("transfer-encoding", "chunked") if chunked else ("content-length", "1000000")
    head = request("POST", "/v1/files", headers=[framing])
    caller = await proxy.call()
    await caller.send(head + (b"400\r\n" if chunked else b"") + b"x" * 500)
    await vendor.accepted.wait()
    caller.leave()
    await let_go(proxy, vendor)
    assert vendor.calls == 0


async def test_gone_before_its_body_is_whole(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    await caller.send(request("POST", CHAT, headers=[("content-length", "100")]) + SMALL)
    caller.leave()
    another = await proxy.call()
    assert (await another.ask("POST", CHAT, body=SMALL)).status == 200
    assert vendor.calls == 1


async def test_gone_while_the_answer_is_held_up_by_its_slowness(
    proxy: Gateway, vendor: Vendor
) -> None:
    """Back-pressure must not hide the close."""
    vendor.say(headers=wire.EVENT_STREAM, chunks=[b"data: " + b"x" * 65528 + b"\n\n"] * 800)
    caller = await proxy.call(receive_buffer=16 * 1024)
    await caller.send(request("POST", CHAT, body=STREAM))
    await caller.head()
    await asyncio.sleep(0.2)  # Until every buffer on the way is full.
    caller.leave()
    await let_go(proxy, vendor)


@pytest.mark.parametrize("kind", ["head", "stream"])
async def test_50_callers_that_leave_at_once_leave_nothing_behind(
    proxy: Gateway, vendor: Vendor, kind: str
) -> None:
    if kind == "head":
        vendor.always(Reply(before_head=[STALL]))
    else:
        vendor.always(
            Reply(headers=wire.EVENT_STREAM, chunks=[EVENTS[0], STALL], framing="chunked")
        )
    idle = others_tasks()
    callers = [await proxy.call() for _ in range(50)]
    for caller in callers:
        await caller.send(request("POST", CHAT, body=STREAM))
    await vendor.arrived.reach(50)
    if kind == "stream":
        for caller in callers:
            await caller.head()
            await caller.chunk()
    for caller in callers:
        caller.leave()
    await let_go(proxy, vendor, 50)
    await eventually(lambda: others_tasks() <= idle)
    gc.collect()  # A future with an exception that nobody took would complain now.
    vendor.always(Reply(body=b"{}"))
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=SMALL)).status == 200


async def test_gone_at_any_byte_of_a_stream(proxy: Gateway, vendor: Vendor) -> None:
    """However much the caller had read, its leaving harms nobody and is always noticed."""

    def reply(_: Request) -> Reply:
        steps: list[bytes | Pause] = []
        for event in EVENTS:
            steps += [event, Pause(0)]
        return Reply(headers=wire.EVENT_STREAM, chunks=steps, framing="chunked")

    vendor.always(reply)
    caller = await proxy.call()
    whole = await caller.ask("POST", CHAT, body=STREAM)
    for size in range(1, len(whole.body) + 600, 41):
        caller = await proxy.call()
        await caller.send(request("POST", CHAT, body=STREAM))
        read = 0
        while read < size and (data := await caller.reader.read(min(41, size - read))):
            read += len(data)
            if data.endswith(b"0\r\n\r\n"):
                break
        caller.leave()
    await eventually(lambda: not proxy.upstream_open())
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=STREAM)).body == whole.body


@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.parametrize("path", [CHAT, "/v1/audio/speech"])
async def test_a_caller_that_does_not_read_stops_the_vendor(vendor: Vendor, path: str) -> None:
    """50 MB wait at the vendor, not in our memory; then all of it arrives, intact."""
    pieces = [b"data: %06d " % n + b"x" * 65514 + b"\n\n" for n in range(800)]
    whole = b"".join([*pieces, *EVENTS[-3:]])
    kind = "text/event-stream" if path == CHAT else "audio/mpeg"
    vendor.say(headers=[("content-type", kind)], chunks=[*pieces, *EVENTS[-3:]])
    link = TcpProxy(vendor.port)
    async with link, gateway(settings(f"http://127.0.0.1:{link.port}/v1")) as proxy:
        caller = await proxy.call(receive_buffer=16 * 1024)
        await caller.send(request("POST", path, body=STREAM))
        await caller.head()
        before = resident()
        taken = -1
        while taken != link.delivered:  # Until every buffer on the way is full.
            taken = link.delivered
            await asyncio.sleep(0.3)
        assert taken < len(whole)
        # The rest is in the kernel's socket buffers, of which one alone may grow to 32 MB.
        assert resident() - before < 8 * MB
        assert proxy.upstream_open() == 1
        received = [await caller.chunk()]
        while part := await caller.chunk():
            received.append(part)
        assert b"".join(received) == whole
