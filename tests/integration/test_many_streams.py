"""Many at once, and the service changing underneath them: streams stay whole, reloads fail nobody,
a stop lets what runs finish."""

import asyncio

import pytest

from proxy.base.tasks import Tasks
from tests.fakes import openai_wire as wire
from tests.fakes.tally import Tally
from tests.fakes.vendor import Pause, Reply, Request, Vendor, WaitFor
from tests.integration.gateway import Gateway, gateway, provider, settings, target
from tests.integration.raw_caller import request

CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini"}'
STREAM = b'{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true}}'
HEALTH = "/healthz"


async def test_200_concurrent_streams_are_whole_and_not_mixed_up(
    proxy: Gateway, vendor: Vendor
) -> None:
    events = {
        n: wire.chat_events(*[f" w{n}-{k}" for k in range(20)], usage=True) for n in range(200)
    }

    def reply(asked: Request) -> Reply:
        said: list[bytes | Pause] = []
        for event in events[asked.json()["seed"]]:
            said += [event, Pause(0.005)]
        return Reply(headers=wire.EVENT_STREAM, chunks=said, framing="chunked")

    vendor.always(reply)

    async def one(number: int) -> None:
        caller = await proxy.call()
        body = b'{"seed":%d,%b' % (number, STREAM[1:])
        answer = await caller.ask("POST", CHAT, body=body)
        assert answer.body == b"".join(events[number])

    async with asyncio.timeout(30), asyncio.TaskGroup() as all_of_them:
        for number in events:
            all_of_them.create_task(one(number), name=f"test: stream {number}")
    assert vendor.calls == 200


async def test_reloads_under_load_fail_no_request(proxy: Gateway, vendor: Vendor) -> None:
    async with Vendor() as other:
        over = asyncio.Event()
        progress = Tally()

        async def load() -> None:
            caller = await proxy.call()
            while not over.is_set():
                for body in (SMALL, STREAM):
                    answer = await caller.ask("POST", CHAT, body=body)
                    assert answer.status == 200
                    progress.add()

        callers = Tasks()
        running = [callers.spawn(load(), name="test: load") for _ in range(10)]
        try:
            async with asyncio.timeout(20):
                for turn in range(12):
                    base = (vendor, other)[turn % 2]
                    await proxy.reload(settings(base, max_body=f"{turn + 1}MiB"))
                    await progress.reach(progress.value + 20)
        finally:
            over.set()
            results = await asyncio.gather(*running, return_exceptions=True)
        assert results == [None] * 10
        assert vendor.calls > 20 and other.calls > 20


async def test_a_stream_in_flight_finishes_by_the_configuration_it_began_with(
    proxy: Gateway, vendor: Vendor
) -> None:
    gate = asyncio.Event()
    events = wire.chat_events(usage=True)
    vendor.say(headers=wire.EVENT_STREAM, chunks=[events[0], WaitFor(gate), *events[1:]])
    caller = await proxy.call()
    await caller.send(request("POST", CHAT, body=STREAM))
    head = await caller.head()
    first = await caller.chunk()
    async with Vendor() as other:
        await proxy.reload(
            settings(
                other,
                providers={"new": provider(other.url)},
                models={"gpt-4o-mini": {"targets": [target("new", "x")]}},
                passthrough={"provider": "new"},
            )
        )
        another = await proxy.call()
        answer = await another.ask("POST", CHAT, body=SMALL)
        assert answer.header("x-llm-proxy-provider") == "new"
        assert answer.header("x-llm-proxy-config") != head.header("x-llm-proxy-config")
        gate.set()
        rest = b""
        while part := await caller.chunk():
            rest += part
        assert first + rest == b"".join(events)
        again = await caller.ask("POST", CHAT, body=SMALL)  # The same connection, the new rules.
        assert again.header("x-llm-proxy-provider") == "new"
        assert other.calls == 2
    assert vendor.calls == 1


async def test_a_stop_waits_for_a_stream_and_then_closes(vendor: Vendor) -> None:
    gate = asyncio.Event()
    events = wire.chat_events(usage=True)
    vendor.say(headers=wire.EVENT_STREAM, chunks=[events[0], WaitFor(gate), *events[1:]])
    async with gateway(settings(vendor)) as proxy:
        caller, idle = await proxy.call(), await proxy.call()
        assert (await idle.ask("GET", HEALTH)).status == 200
        await caller.send(request("POST", CHAT, body=STREAM))
        await caller.head()
        first = await caller.chunk()
        tasks = Tasks()
        stopping = tasks.spawn(proxy.app.stop(10), name="test: stop")
        async with asyncio.timeout(5):
            assert await idle.rest() == b""  # Idle connections are closed at once.
            with pytest.raises(ConnectionRefusedError):
                await proxy.call()
            assert not stopping.done()
            gate.set()
            rest = b""
            while part := await caller.chunk():
                rest += part
            assert first + rest == b"".join(events)
            await stopping
            assert await caller.rest() == b""


async def test_a_stop_ends_what_is_not_done_in_time(vendor: Vendor) -> None:
    gate = asyncio.Event()
    events = wire.chat_events()
    vendor.say(headers=wire.EVENT_STREAM, chunks=[events[0], WaitFor(gate), *events[1:]])
    async with gateway(settings(vendor)) as proxy:
        caller = await proxy.call()
        await caller.send(request("POST", CHAT, body=STREAM))
        await caller.head()
        await caller.chunk()
        async with asyncio.timeout(5):
            await proxy.app.stop(0.1)
            assert b"[DONE]" not in await caller.rest()
            await vendor.gone.wait()


async def test_while_it_stops_an_answer_says_close(vendor: Vendor) -> None:
    gate = asyncio.Event()
    vendor.say(body=b"{}", before_head=[WaitFor(gate)])
    async with gateway(settings(vendor)) as proxy:
        caller = await proxy.call()
        await caller.send(request("POST", CHAT, body=SMALL))
        await vendor.arrived.wait()
        tasks = Tasks()
        stopping = tasks.spawn(proxy.app.stop(10), name="test: stop")
        await asyncio.sleep(0)
        gate.set()
        async with asyncio.timeout(5):
            answer = await caller.answer()
            assert answer.status == 200
            assert await caller.rest() == b""
            await stopping
