"""How often, how long, how soon again: retries, their budget, the total, the breaker by itself."""

import asyncio
from pathlib import Path
from typing import Any

from proxy.base.clock import monotonic
from tests.adversity.expect import eventually
from tests.fakes.script import Pause, Reply
from tests.fakes.vendor import Request
from tests.integration.gateway import Gateway, gateway
from tests.integration.routing_vendors import (
    ask,
    attempts,
    configured,
    model,
    served,
    tried,
    vendors,
)
from tests.integration.test_breaker import GOOD, health
from tests.integration.test_counted_tokens import records

BROKEN = Reply(status=500, body=b'{"error":{"message":"no"}}')
WELL = Reply(body=GOOD)
QUICK = {"attempts": 2, "initial": "5ms"}


def busy(seconds: str) -> Reply:
    headers = [("content-type", "application/json"), ("retry-after", seconds)]
    return Reply(status=503, headers=headers, body=BROKEN.body)


async def test_what_the_vendor_asks_for_is_waited_for() -> None:
    """`Retry-After` in place of the pause drawn, which would be some milliseconds."""
    async with vendors("a") as known:
        replies = [busy("1")]
        known["a"].always(lambda _: replies.pop() if replies else WELL)
        async with gateway(configured(known, {"m": model("a", retry=QUICK)})) as proxy:
            began = monotonic()
            assert served(await ask(proxy)) == "a"
        assert 1 <= monotonic() - began < 2.5 and known["a"].calls == 2


async def test_while_one_waits_the_others_leave_the_vendor_alone() -> None:
    async with vendors("a", "b") as known:
        limited = Reply(status=429, headers=[("retry-after", "30")], body=BROKEN.body)
        known["a"].always(limited)
        models = {"m": model("a", {"provider": "b", "tier": 2}, retry=QUICK)}
        async with gateway(configured(known, models)) as proxy:
            assert [served(await ask(proxy)) for _ in range(5)] == ["b"] * 5
        assert known["a"].calls == 1


async def test_where_the_other_is_down_it_is_waited_for() -> None:
    async with vendors("a", "b") as known:
        known["b"].always(BROKEN)
        limited = Reply(status=429, headers=[("retry-after-ms", "100")], body=BROKEN.body)
        models = {
            "m": model("a", {"provider": "b", "tier": 2}, retry=QUICK, breaker={"failures": 1})
        }
        async with gateway(configured(known, models)) as proxy:
            replies = [BROKEN, BROKEN]
            known["a"].always(lambda _: replies.pop() if replies else WELL)
            assert (await ask(proxy)).status == 500  # Both are open now.
            health(proxy, "a").breaker.close()
            replies.append(limited)
            assert served(await ask(proxy)) == "a"
        assert known.calls() == {"a": 4, "b": 2}


async def test_retries_are_a_tenth_of_the_load_at_most() -> None:
    async with vendors("a") as known:
        known["a"].always(BROKEN)
        models = {"m": model("a", retry={**QUICK, "attempts": 3}, breaker={"failures": 1000})}
        async with gateway(configured(known, models)) as proxy:
            answers = [await ask(proxy) for _ in range(60)]
        assert {answer.status for answer in answers} == {500}
        assert 60 + 10 <= known["a"].calls <= 60 + 10 + 6  # Ten at once are spared.


async def test_no_try_begins_after_the_total(tmp_path: Path) -> None:
    async with vendors("a", "b", "c") as known:
        for name in ("a", "b"):
            known[name].always(Reply(status=500, before_head=[Pause(0.2)], body=b"{}"))
        models = {
            "m": model(
                "a",
                {"provider": "b", "tier": 2},
                {"provider": "c", "tier": 3},
                fallback={"total": "300ms"},
            )
        }
        async with gateway(configured(known, models, folder=tmp_path)) as proxy:
            assert (await ask(proxy)).status in {500, 504}
        assert known["c"].calls == 0
    (found,) = await tried(tmp_path)
    assert [name for name, _ in found] == ["a", "b"]


async def test_a_further_try_has_what_is_left_of_the_total(tmp_path: Path) -> None:
    async with vendors("a", "b") as known:
        known["a"].always(Reply(status=500, before_head=[Pause(0.2)], body=b"{}"))
        known["b"].always(Reply(before_head=[Pause(20)], body=GOOD))
        models = {"m": model("a", {"provider": "b", "tier": 2}, fallback={"total": "500ms"})}
        async with gateway(configured(known, models, folder=tmp_path)) as proxy:
            began = monotonic()
            answer = await ask(proxy)
            assert answer.status == 504 and monotonic() - began < 1.5
    (record,) = await records(tmp_path)
    assert attempts(record) == [("a", "server"), ("b", "timeout")]


class Turned:
    """A vendor that is ill until somebody mends it."""

    def __init__(self) -> None:
        self.ill = True
        self.slow = 0.0

    def __call__(self, _: Request) -> Reply:
        before = [Pause(self.slow)] if self.slow else []
        if self.ill:
            return Reply(status=500, before_head=before, body=BROKEN.body)
        return Reply(before_head=before, body=GOOD)


class TestBreaker:
    """By the clock, nobody's hand in it."""

    MODEL = model("a", {"provider": "b", "tier": 2}, breaker={"failures": 3, "recovery": "300ms"})

    async def _opened(self, proxy: Gateway) -> None:
        for _ in range(5):
            assert served(await ask(proxy)) == "b"
        assert self._state(proxy) == "open"

    def _state(self, proxy: Gateway) -> str:
        return health(proxy, "a").breaker.state(monotonic())

    async def test_it_opens_is_tried_and_closes(self) -> None:
        turned = Turned()
        async with vendors("a", "b") as known:
            known["a"].always(turned)
            async with gateway(configured(known, {"m": self.MODEL})) as proxy:
                await self._opened(proxy)
                assert known["a"].calls == 3
                await eventually(lambda: self._state(proxy) == "half_open")
                assert served(await ask(proxy)) == "b"  # Tried, still ill.
                assert known["a"].calls == 4 and self._state(proxy) == "open"
                turned.ill = False
                assert served(await ask(proxy)) == "b" and known["a"].calls == 4
                await eventually(lambda: self._state(proxy) == "half_open")
                assert served(await ask(proxy)) == "a"
                assert self._state(proxy) == "closed"
                assert served(await ask(proxy)) == "a"

    async def test_half_open_lets_one_through(self) -> None:
        turned = Turned()
        async with vendors("a", "b") as known:
            known["a"].always(turned)
            async with gateway(configured(known, {"m": self.MODEL})) as proxy:
                await self._opened(proxy)
                turned.ill, turned.slow = False, 0.3
                await eventually(lambda: self._state(proxy) == "half_open")
                before = known["a"].calls
                asked = [asyncio.create_task(ask(proxy)) for _ in range(8)]  # noqa: TID251
                answers = [served(await each) for each in asked]
                assert known["a"].calls == before + 1
                assert sorted(str(each) for each in answers) == ["a"] + ["b"] * 7

    async def test_what_the_caller_did_wrong_does_not_open_it(self) -> None:
        async with vendors("a", "b") as known:
            refusal = Reply(status=400, body=BROKEN.body)
            known["a"].always(refusal)
            async with gateway(configured(known, {"m": self.MODEL})) as proxy:
                assert [(await ask(proxy)).status for _ in range(6)] == [400] * 6
                assert self._state(proxy) == "closed"
            assert known.calls() == {"a": 6, "b": 0}


async def test_a_target_that_is_out_by_its_own_limit_gives_way(tmp_path: Path) -> None:
    """Before the vendor could say 429."""
    async with vendors("a", "b") as known:
        limits: dict[str, Any] = {"a": {"limits": {"rpm": 2}}}
        models = {"m": model("a", {"provider": "b", "tier": 2})}
        configuration = configured(known, models, providers=limits, folder=tmp_path)
        async with gateway(configuration) as proxy:
            assert [served(await ask(proxy)) for _ in range(4)] == ["a", "a", "b", "b"]
        assert known.calls() == {"a": 2, "b": 2}
