"""Connections: pipelined, kept on both sides, closed when either side says so."""

import asyncio

from tests.fakes.vendor import Vendor
from tests.integration.gateway import Gateway
from tests.integration.raw_caller import request

BOTH_LOOPS = True
BOTH_SERVERS = True

CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini","input":"x"}'


async def test_pipelined_requests_are_answered_in_order(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    asked: list[tuple[str, bytes | None]] = [
        (CHAT, SMALL),
        ("/v1/embeddings", SMALL),
        ("/healthz", None),
        ("/v1/models", None),
        (CHAT, SMALL),
    ]
    data = b"".join(request("POST" if body else "GET", path, body=body) for path, body in asked)
    await caller.send(data)
    answers = [await caller.answer() for _ in asked]
    assert [answer.status for answer in answers] == [200] * 5
    said = [answer.json().get("object", "health") for answer in answers]
    assert said == ["chat.completion", "list", "health", "list", "chat.completion"]
    assert vendor.calls == 3


async def test_connections_are_kept_on_both_sides(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    for _ in range(5):
        answer = await caller.ask("POST", CHAT, body=SMALL)
        assert answer.status == 200 and answer.all("connection") == []
    assert vendor.connections == 1
    others = [await proxy.call() for _ in range(4)]
    await asyncio.gather(*(other.ask("POST", CHAT, body=SMALL) for other in others))
    assert vendor.connections <= 4


async def test_a_caller_that_closes_is_told_so(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, headers=[("Connection", "close")], body=SMALL)
    assert answer.status == 200
    assert answer.all("connection") == ["close"]
    assert await caller.rest() == b""
    assert vendor.requests[0].all("connection") == []
