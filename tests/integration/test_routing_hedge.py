"""A second try beside one that is late: who answers, what becomes of the other, how many."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.base.clock import monotonic
from tests.fakes import openai_wire as wire
from tests.fakes.script import RST, STALL, Pause, Reply, WaitFor
from tests.integration.gateway import gateway
from tests.integration.routing_vendors import (
    ask,
    attempts,
    chat,
    configured,
    model,
    served,
    vendors,
)
from tests.integration.test_counted_tokens import records

LATE = {"after": "100ms", "share": 0.5}
ALL = 19_000 + 20_000
BROKEN = Reply(status=500, body=b'{"error":{"message":"no"}}')


def hedged(**more: Any) -> dict[str, Any]:
    return {"m": model("a", {"provider": "b", "tier": 2}, hedge={**LATE, **more})}


@pytest.mark.parametrize("stream", [False, True])
async def test_the_second_answers_and_the_first_is_cancelled(tmp_path: Path, stream: bool) -> None:
    async with vendors("a", "b") as known:
        known["a"].say(before_head=[STALL])
        async with gateway(configured(known, hedged(), folder=tmp_path)) as proxy:
            began = monotonic()
            answer = await ask(proxy, chat(stream=stream))
            took = monotonic() - began
            async with asyncio.timeout(1):
                await known["a"].gone.reach(1)
        assert served(answer) == "b" and 0.1 <= took < 1
        assert answer.header("x-llm-proxy-attempts") == "2"
    (record,) = await records(tmp_path)
    assert attempts(record) == [("a", "hedged"), ("b", None)]
    first, second = record.attempts
    assert first.cost is not None and 0 < first.cost.total < ALL  # It was read, most likely.
    assert second.cost is not None and second.cost.total == ALL
    assert (record.outcome, record.cost) == ("completed", first.cost.total + ALL)


async def test_the_first_may_still_be_the_quicker(tmp_path: Path) -> None:
    async with vendors("a", "b") as known:
        known["a"].say(before_head=[Pause(0.25)], body=wire.chat_body())
        known["b"].say(before_head=[STALL])
        async with gateway(configured(known, hedged(), folder=tmp_path)) as proxy:
            assert served(await ask(proxy)) == "a"
            async with asyncio.timeout(1):
                await known["b"].gone.reach(1)
    (record,) = await records(tmp_path)
    assert attempts(record) == [("b", "hedged"), ("a", None)]
    assert record.served_provider == "a"


async def test_what_is_in_time_is_asked_once() -> None:
    async with vendors("a", "b") as known:
        async with gateway(configured(known, hedged(after="5s"))) as proxy:
            assert [served(await ask(proxy)) for _ in range(5)] == ["a"] * 5
        assert known.asked() == {"a"}


async def test_its_share_is_bounded() -> None:
    """Ten at once, then a share of the requests."""
    async with vendors("a", "b") as known:
        known["a"].always(Reply(before_head=[Pause(0.06)], body=wire.chat_body()))
        known["b"].always(Reply(before_head=[Pause(5)], body=wire.chat_body()))
        models = hedged(after="20ms", share=0.1)
        async with gateway(configured(known, models)) as proxy:
            asked = [asyncio.create_task(ask(proxy)) for _ in range(40)]  # noqa: TID251
            assert {served(await each) for each in asked} == {"a"}
        assert known["a"].calls == 40
        assert 8 <= known["b"].calls <= 10 + 4


async def test_only_after_the_quantile_is_known() -> None:
    async with (
        vendors("a", "b") as known,
        gateway(configured(known, hedged(after="p90"))) as proxy,
    ):
        known["a"].always(Reply(before_head=[Pause(0.03)], body=wire.chat_body()))
        while known["a"].calls < 10:
            _ = await ask(proxy)
        known["a"].always(Reply(before_head=[Pause(3)], body=wire.chat_body()))
        assert served(await ask(proxy)) == "b"


class TestFailures:
    """Of one of the two, or of both."""

    async def test_the_first_fails_while_the_second_works(self, tmp_path: Path) -> None:
        async with vendors("a", "b") as known:
            known["a"].say(before_head=[Pause(0.15), RST])
            known["b"].say(before_head=[Pause(0.2)], body=wire.chat_body())
            async with gateway(configured(known, hedged(), folder=tmp_path)) as proxy:
                assert served(await ask(proxy)) == "b"
        (record,) = await records(tmp_path)
        assert attempts(record) == [("a", "reset"), ("b", None)]

    async def test_the_second_fails_at_once(self, tmp_path: Path) -> None:
        async with vendors("a", "b") as known:
            known["a"].say(before_head=[Pause(0.3)], body=wire.chat_body())
            known["b"].always(BROKEN)
            async with gateway(configured(known, hedged(), folder=tmp_path)) as proxy:
                assert served(await ask(proxy)) == "a"
            assert known["b"].calls == 1
        (record,) = await records(tmp_path)
        assert attempts(record) == [("b", "server"), ("a", None)]

    @pytest.mark.parametrize(("slower", "last"), [("a", "overloaded"), ("b", "server")])
    async def test_both_fail_and_both_are_told(
        self, tmp_path: Path, slower: str, last: str
    ) -> None:
        """Each once, each with its own reason, and no third try at either."""
        async with vendors("a", "b") as known:
            known["a"].say(503, before_head=[Pause(0.35 if slower == "a" else 0.15)], body=b"{}")
            known["b"].say(500, before_head=[Pause(0.1 if slower == "a" else 0.3)], body=b"{}")
            async with gateway(configured(known, hedged(), folder=tmp_path)) as proxy:
                answer = await ask(proxy)
            assert answer.status == (503 if slower == "a" else 500)
            listed = answer.error["provider_specific_fields"]["attempts"]
            assert known.calls() == {"a": 1, "b": 1}
        (record,) = await records(tmp_path)
        assert dict(attempts(record)) == {"a": "overloaded", "b": "server"}
        assert attempts(record)[-1] == (slower, last)
        assert [(each["provider"], each["error"]) for each in listed] == attempts(record)
        assert [each.status for each in record.attempts] == (
            [500, 503] if slower == "a" else [503, 500]
        )

    async def test_a_third_target_answers_when_both_have_failed(self, tmp_path: Path) -> None:
        models = {"m": model("a", {"provider": "b", "tier": 2}, {"provider": "c", "tier": 3})}
        models["m"]["hedge"] = LATE
        async with vendors("a", "b", "c") as known:
            known["a"].say(503, before_head=[Pause(0.3)], body=b"{}")
            known["b"].say(500, body=b"{}")
            async with gateway(configured(known, models, folder=tmp_path)) as proxy:
                assert served(await ask(proxy)) == "c"
            assert known.calls() == {"a": 1, "b": 1, "c": 1}
        (record,) = await records(tmp_path)
        assert attempts(record) == [("b", "server"), ("a", "overloaded"), ("c", None)]


async def test_a_caller_that_leaves_stops_both(tmp_path: Path) -> None:
    async with vendors("a", "b") as known:
        never = asyncio.Event()
        for vendor in known.values():
            vendor.say(before_head=[WaitFor(never)])
        async with gateway(configured(known, hedged(), folder=tmp_path)) as proxy:
            caller = await proxy.call()
            asked = asyncio.create_task(  # noqa: TID251
                caller.ask("POST", "/v1/chat/completions", body=chat())
            )
            await known["b"].arrived.reach(1)
            asked.cancel()
            caller.leave()
            async with asyncio.timeout(1):
                await known["a"].gone.reach(1)
                await known["b"].gone.reach(1)
    (record,) = await records(tmp_path)
    assert record.outcome == "client_gone" and len(record.attempts) == 2
    assert all(each.cost is not None and each.cost.total > 0 for each in record.attempts)
