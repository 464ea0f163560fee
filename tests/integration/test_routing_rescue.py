"""A stream that another target carries on: what that is asked, what it costs, what ends it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fakes import openai_wire as wire
from tests.fakes.script import FIN, STALL, Pause, Reply
from tests.integration.gateway import gateway
from tests.integration.purse import IN, OUT, spent
from tests.integration.raw_caller import Answer, request
from tests.integration.routing_vendors import (
    CHAT,
    ask,
    attempts,
    chat,
    configured,
    fields,
    model,
    vendors,
)
from tests.integration.test_counted_tokens import records

BODY = chat(stream=True, max_tokens=50)
EVENTS = wire.chat_events(usage=True)
CUT = Reply(headers=wire.EVENT_STREAM, chunks=[*EVENTS[:7], Pause(0.02), FIN], framing="chunked")
BEGUN = "".join(wire.WORDS[:6])
REFUSAL = Reply(status=400, body=wire.error_body("no prefill here"))
ABLE: Mapping[str, Any] = {"capabilities": ["chat", "prefill"]}


def chain(*names: str, way: str = "prefill") -> dict[str, Any]:
    first, *others = names
    targets = [{"provider": each, "tier": tier, **ABLE} for tier, each in enumerate(others, 2)]
    return {"m": model(first, *targets, rescue=[way])}


def is_whole(answer: Answer) -> bool:
    return answer.body.endswith(wire.DONE) and b"error" not in answer.body


async def test_a_third_carries_on_where_the_second_takes_no_prefill(tmp_path: Path) -> None:
    async with vendors("a", "b", "c") as known:
        known["a"].always(CUT)
        known["b"].always(REFUSAL)
        configuration = configured(known, chain("a", "b", "c"), folder=tmp_path)
        async with gateway(configuration) as proxy:
            assert is_whole(await ask(proxy, BODY))
        assert known.calls() == {"a": 1, "b": 1, "c": 1}
    (record,) = await records(tmp_path)
    assert attempts(record) == [("a", "cut"), ("b", "refused"), ("c", None)]


async def test_what_a_prefill_asks_for() -> None:
    """The beginning as the answer's own words, and no more tokens than are left."""
    async with vendors("a", "b") as known:
        known["a"].always(CUT)
        async with gateway(configured(known, chain("a", "b"))) as proxy:
            assert is_whole(await ask(proxy, BODY))
        sent = fields(known["b"].requests[0])
        assert sent["messages"][-1] == {"role": "assistant", "content": BEGUN}
        assert sent["max_tokens"] == 50 - len(BEGUN) // 4
        assert fields(known["a"].requests[0])["max_tokens"] == 50


async def test_what_a_restart_asks_for() -> None:
    async with vendors("a", "b") as known:
        known["a"].always(CUT)
        async with gateway(configured(known, chain("a", "b", way="restart"))) as proxy:
            assert is_whole(await ask(proxy, BODY))
        first, second = (fields(known[name].requests[0]) for name in ("a", "b"))
        assert second == {**first, "model": "at-b"}


async def test_without_money_for_another_the_first_error_is_told() -> None:
    held = (len(BODY) + 64) * IN + 50 * OUT
    key = {"budgets": [{"amount": f"{1.5 * held / 10**9:.9f}", "period": "day"}], "name": "purse"}
    async with vendors("a", "b") as known:
        known["a"].always(CUT)
        async with gateway(configured(known, chain("a", "b", way="restart"), key=key)) as proxy:
            answer = await ask(proxy, BODY)
            assert b'"code":"upstream_cut"' in answer.body and wire.DONE not in answer.body
            assert known.asked() == {"a"}
            assert 0 < await spent(proxy) < held


async def test_a_caller_that_leaves_meanwhile_stops_it(tmp_path: Path) -> None:
    async with vendors("a", "b") as known:
        known["a"].always(CUT)
        known["b"].say(before_head=[STALL])
        configuration = configured(known, chain("a", "b"), folder=tmp_path)
        async with gateway(configuration) as proxy:
            caller = await proxy.call()
            await caller.send(request("POST", CHAT, body=BODY))
            await known["b"].arrived.reach(1)
            caller.leave()
            async with asyncio.timeout(1):
                await known["b"].gone.reach(1)
    (record,) = await records(tmp_path)
    assert record.outcome == "client_gone"
    assert [name for name, _ in attempts(record)] == ["a", "b"]
    assert all(each.cost is not None and each.cost.total > 0 for each in record.attempts)


async def test_rescue_is_for_chat_streams_only() -> None:
    async with vendors("a", "b") as known:
        events = wire.completion_events("one", "two")
        known["a"].always(Reply(headers=wire.EVENT_STREAM, chunks=[*events[:1], Pause(0.02), FIN]))
        async with gateway(configured(known, chain("a", "b", way="restart"))) as proxy:
            caller = await proxy.call()
            body = b'{"model":"m","prompt":"x","stream":true}'
            answer = await caller.ask("POST", "/v1/completions", body=body)
        assert b"event: error" in answer.body and known.asked() == {"a"}
