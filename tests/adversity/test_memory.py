"""After all of it, over and over, the process holds no more than before."""

import asyncio
import contextlib
import logging

import pytest

from tests.adversity.bad_requests import BODIES, FRAMING, HEADS, PACKED
from tests.adversity.expect import CHAT, MB, SMALL, does_not_grow, eventually
from tests.fakes import openai_wire as wire
from tests.fakes.vendor import FIN, RST, Reply, Request, Vendor
from tests.integration.gateway import Gateway
from tests.integration.raw_caller import request

EVENTS = wire.chat_events()
WARM, MEASURED = 2, 4


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_bad_callers_and_bad_vendors_do_not_make_memory_grow(
    proxy: Gateway, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "llm-proxy")  # What is captured is kept, and grows.
    attacks = [*FRAMING.values(), *HEADS.values()]
    attacks += [request("POST", CHAT, body=body) for body, _ in BODIES.values()]
    attacks += [
        request("POST", CHAT, headers=[("content-encoding", coding)], body=body)
        for body, coding, _ in PACKED.values()
    ]
    whole = Reply(headers=wire.EVENT_STREAM, chunks=EVENTS, framing="chunked")
    replies = [  # With good ones among them: five failures in a row would open a breaker.
        whole,
        Reply(raw=[RST]),
        Reply(body=wire.chat_body(), cut_after=99),
        Reply(headers=wire.EVENT_STREAM, chunks=[*EVENTS[:3], FIN], framing="chunked"),
        whole,
        Reply(500, body=b"x" * 300_000),
    ]

    def reply(asked: Request) -> Reply:
        return replies[len(vendor.requests) % len(replies)]

    vendor.always(reply)

    async def one_round() -> None:
        for attack in attacks:
            caller = await proxy.call()
            await caller.send(attack)
            caller.writer.write_eof()
            await caller.rest()
            caller.leave()
        for body in (SMALL, SMALL[:-1] + b',"stream":true}') * 20:
            caller = await proxy.call()
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await caller.ask("POST", CHAT, body=body)
            caller.leave()
        proxy.forget_callers()
        vendor.requests.clear()

    for _ in range(WARM):
        await one_round()
    await does_not_grow(one_round, rounds=MEASURED, by=8 * MB)
    await eventually(lambda: not proxy.upstream_open())
    vendor.always(Reply(body=b"{}"))
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=SMALL)).status == 200
