"""Money and limits of requests that need several attempts: each holds its own, at its own price,
and what failed without use is there for the next at once."""

import asyncio
from typing import Any

import pytest

from proxy.limits.answers import usd
from tests.fakes import openai_wire as wire
from tests.fakes.script import RST, Reply, WaitFor
from tests.integration.gateway import gateway
from tests.integration.purse import IN, OUT, spent, taken
from tests.integration.routing_vendors import (
    PRICE,
    Vendors,
    ask,
    chat,
    configured,
    model,
    served,
    vendors,
)

BODY = chat(max_tokens=50)
HELD = (len(BODY) + 64) * IN + 50 * OUT
TRUE = 19 * IN + 10 * OUT
DEAR = {"input": 4, "output": 8}
BROKEN = Reply(status=500, body=wire.error_body("no"))


def purse(nano: int, **more: Any) -> dict[str, Any]:
    """What the key may spend in a day."""
    amount = f"{nano / 10**9:.9f}"
    return {"name": "purse", "budgets": [{"amount": amount, "period": "day"}], **more}


def two(known: Vendors, nano: int, second: dict[str, int], **more: Any) -> dict[str, Any]:
    """The model `m` at `a`; behind it `n` at `b`, at the second price."""
    models = {
        "m": model("a", fallback={"models": ["n"]}, **more.pop("model", {})),
        "n": model("b", price=second),
    }
    return configured(known, models, key=purse(nano), **more)


async def test_an_error_status_leaves_its_money_to_the_next() -> None:
    """There is only enough for one of the two."""
    async with vendors("a", "b") as known:
        known["a"].always(BROKEN)
        async with gateway(two(known, HELD + HELD // 2, PRICE)) as proxy:
            answer = await ask(proxy, BODY)
            assert served(answer) == "b"
            left = answer.header("x-llm-proxy-budget-remaining")
            assert left == usd(HELD + HELD // 2 - HELD)
            assert await spent(proxy) == TRUE


async def test_the_same_target_again_with_the_same_money() -> None:
    async with vendors("a", "b") as known:
        known["a"].say(status=503, body=b"{}")
        retried = {"retry": {"attempts": 2, "initial": "5ms"}}
        async with gateway(two(known, HELD + 1, PRICE, model=retried)) as proxy:
            assert served(await ask(proxy, BODY)) == "a"
            assert await spent(proxy) == TRUE


async def test_a_dearer_fallback_holds_its_own_price() -> None:
    async with vendors("a", "b") as known:
        known["a"].always(BROKEN)
        async with gateway(two(known, 4 * HELD, DEAR)) as proxy:
            answer = await ask(proxy, BODY)
            assert answer.header("x-llm-proxy-budget-remaining") == "0"
            assert await spent(proxy) == 4 * TRUE


async def test_a_fallback_that_is_too_dear_is_not_asked() -> None:
    """The caller is told what the vendor said; both are listed."""
    async with vendors("a", "b") as known:
        known["a"].always(BROKEN)
        async with gateway(two(known, 2 * HELD, DEAR)) as proxy:
            answer = await ask(proxy, BODY)
            assert answer.status == 500 and known.asked() == {"a"}
            listed = answer.error["provider_specific_fields"]["attempts"]
            assert [(each["provider"], each["error"]) for each in listed] == [
                ("a", "server"),
                ("b", "budget_exceeded"),
            ]
            assert await spent(proxy) == 0


async def test_a_vendor_that_may_have_read_it_is_paid_for_that() -> None:
    async with vendors("a", "b") as known:
        known["a"].say(before_head=[RST])
        async with gateway(two(known, 10 * HELD, DEAR)) as proxy:
            assert served(await ask(proxy, BODY)) == "b"
            read = -(-len(known["a"].requests[0].body) // 4) * IN
            assert await spent(proxy) == read + 4 * TRUE


async def test_while_a_retry_waits_others_have_its_money_and_its_place() -> None:
    """One may be under way at `a`, and there is money for one."""
    async with vendors("a", "b") as known:
        headers = [("content-type", "application/json"), ("retry-after", "1")]
        known["a"].say(503, headers, b"{}")
        retried = {"retry": {"attempts": 2}, "fallback": {"models": [], "max_attempts": 6}}
        models = {"m": model("a", **retried)}
        providers = {"a": {"limits": {"concurrency": 1}}}
        configuration = configured(known, models, key=purse(HELD + TRUE), providers=providers)
        async with gateway(configuration) as proxy:
            waiting = asyncio.create_task(ask(proxy, BODY))  # noqa: TID251
            await known["a"].arrived.reach(1)
            while await spent(proxy):
                await asyncio.sleep(0.001)
            assert served(await ask(proxy, BODY)) == "a"
            assert not waiting.done()
            assert served(await waiting) == "a"
            assert known["a"].calls == 3
            assert await spent(proxy) == 2 * TRUE


async def test_a_failed_request_counts_as_one_and_its_tokens_do_not() -> None:
    async with vendors("a", "b") as known:
        known["a"].always(BROKEN)
        held = len(BODY) + 64 + 50
        limits = {"a": {"limits": {"rpm": 3, "tpm": held + held // 2}}}
        models = {"m": model("a", {"provider": "b", "tier": 2})}
        async with gateway(configured(known, models, providers=limits)) as proxy:
            assert [served(await ask(proxy, BODY)) for _ in range(5)] == ["b"] * 5
        assert known.calls() == {"a": 3, "b": 5}


@pytest.mark.parametrize("status", [400, 429, 500, 503])
async def test_nothing_is_held_or_spent_in_the_end(status: int) -> None:
    async with vendors("a", "b") as known:
        for vendor in known.values():
            vendor.always(Reply(status=status, body=BROKEN.body))
        models = {"m": model("a", {"provider": "b", "tier": 2})}
        key = purse(3 * HELD, limits={"concurrency": 2, "rpm": 9, "tpm": 100_000})
        async with gateway(configured(known, models, key=key)) as proxy:
            assert (await ask(proxy, BODY)).status == status
            assert await spent(proxy) == 0
            assert await taken(proxy, "concurrency") == [0]
            assert await taken(proxy, "requests") == [1]  # It was a request all the same.
            assert await taken(proxy, "tokens") == [0]


async def test_a_hedge_holds_twice_while_both_are_under_way() -> None:
    async with vendors("a", "b") as known:
        go = asyncio.Event()
        for vendor in known.values():
            vendor.say(before_head=[WaitFor(go)], body=b"{}")
        hedge = {"hedge": {"after": "30ms", "share": 0.5}}
        async with gateway(two(known, 10 * HELD, DEAR, model=hedge)) as proxy:
            asked = asyncio.create_task(ask(proxy, BODY))  # noqa: TID251
            await known["b"].arrived.reach(1)
            assert await spent(proxy) == HELD + 4 * HELD
            go.set()
            assert (await asked).status == 200
            assert 0 < await spent(proxy) < 4 * HELD


async def test_a_hedge_without_money_is_not_made() -> None:
    async with vendors("a", "b") as known:
        go = asyncio.Event()
        known["a"].say(before_head=[WaitFor(go)], body=b'{"usage":{"prompt_tokens":1}}')
        hedge = {"hedge": {"after": "20ms", "share": 0.5}}
        async with gateway(two(known, 2 * HELD, DEAR, model=hedge)) as proxy:
            asyncio.get_running_loop().call_later(0.15, go.set)
            assert served(await ask(proxy, BODY)) == "a"
            assert known.asked() == {"a"}
