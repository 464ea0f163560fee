"""Budgets as callers meet them: walls, exact to the nano-USD whatever becomes of a request."""

import asyncio
from typing import Any

import openai
import pytest

from proxy.base import jsonio
from proxy.limits.answers import usd
from tests.conformance.judge import JUDGES
from tests.fakes import openai_wire as wire
from tests.fakes.vendor import RST, Reply, Request, Vendor, WaitFor
from tests.integration.gateway import Gateway, closed_port, gateway, provider, target
from tests.integration.purse import IN, KEY, OUT, PRICE, budget, limited, spent
from tests.integration.raw_caller import Answer

TRUE = 19 * IN + 10 * OUT  # What the vendor's usual answer says.
CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "hi"}]


def chat(**more: Any) -> bytes:
    return jsonio.dumps({"model": "m", "messages": MESSAGES, "max_tokens": 50, **more})


async def ask(proxy: Gateway, body: bytes | None = None, path: str = CHAT) -> Answer:
    return await (await proxy.call()).ask("POST", path, body=body or chat())


def uncapped(**more: Any) -> bytes:
    return jsonio.dumps({"model": "m", "messages": MESSAGES, **more})


def sent_cap(request: Request) -> int | None:
    found = jsonio.loads(request.body).get("max_tokens")
    assert found is None or isinstance(found, int)
    return found


async def test_plain_and_streamed_cost_what_they_cost(vendor: Vendor) -> None:
    async with gateway(limited(vendor, key=budget(1))) as proxy:
        answer = await ask(proxy)
        assert answer.status == 200
        held = (len(chat()) + 64) * IN + 50 * OUT
        left = 10**9 - held
        assert answer.header("x-llm-proxy-budget-remaining") == usd(left)
        assert await spent(proxy) == TRUE
        streamed = await ask(proxy, chat(stream=True))
        assert streamed.body.endswith(wire.DONE)
        assert await spent(proxy) == 2 * TRUE


async def test_a_budget_is_a_wall_for_many_at_once(vendor: Vendor) -> None:
    held = (len(chat()) + 64) * IN + 50 * OUT
    amount = f"{(5 * held + held // 2) / 10**9:.9f}"
    async with gateway(limited(vendor, key=budget(amount))) as proxy:
        go = asyncio.Event()
        for _ in range(5):
            vendor.say(before_head=[WaitFor(go)], body=wire.chat_body())
        asked = [asyncio.create_task(ask(proxy)) for _ in range(20)]  # noqa: TID251
        await vendor.arrived.reach(5)
        while sum(task.done() for task in asked) < 15:
            await asyncio.sleep(0.001)
        assert vendor.calls == 5
        assert await spent(proxy) == 5 * held
        go.set()
        answers = [await task for task in asked]
        assert sorted(answer.status for answer in answers) == [200] * 5 + [429] * 15
        assert await spent(proxy) == 5 * TRUE


@pytest.mark.parametrize("status", [402, 422, 429])
async def test_a_refusal_says_whose_budget_and_until_when(vendor: Vendor, status: int) -> None:
    async with gateway(limited(vendor, key=budget("0.00001"), budget_status=status)) as proxy:
        answer = await ask(proxy)
        assert (answer.status, answer.error["type"]) == (status, "insufficient_quota")
        assert answer.error["code"] == "insufficient_quota"
        assert "the budget of key `purse`, 0.00001 USD per day" in answer.error["message"]
        assert answer.header("x-should-retry") == "false"
        assert answer.header("x-llm-proxy-budget-remaining") == "0.00001"
        assert vendor.calls == 0
        assert await spent(proxy) == 0


@pytest.mark.parametrize("name", JUDGES)
async def test_the_sdk_does_not_try_again_without_money(vendor: Vendor, name: str) -> None:
    async with gateway(limited(vendor, key=budget("0.00001"))) as proxy:
        judge = JUDGES[name](proxy.url, KEY)
        with pytest.raises(openai.RateLimitError) as caught:
            await judge.ask(
                lambda client: client.chat.completions.create(
                    model="m", messages=MESSAGES, max_tokens=5
                ),
                max_retries=3,
            )
        await judge.close()
        assert caught.value.code == "insufficient_quota"
        assert len(judge.sent) == 1


class TestEndings:
    """What a request cost, whatever became of it; nothing stays held."""

    async def test_refused_by_the_vendor(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget(1))) as proxy:
            vendor.say(status=500, body=wire.error_body("no"))
            assert (await ask(proxy)).status == 500
            assert await spent(proxy) == 0

    async def test_not_reached(self, vendor: Vendor) -> None:
        away = {"vendor": provider(f"http://127.0.0.1:{closed_port()}/v1")}
        async with gateway(limited(vendor, key=budget(1), providers=away)) as proxy:
            assert (await ask(proxy)).status == 502
            assert await spent(proxy) == 0

    async def test_taken_and_never_answered(self, vendor: Vendor) -> None:
        """The vendor may charge for having read it: its length, as an estimate."""
        async with gateway(limited(vendor, key=budget(1))) as proxy:
            vendor.say(before_head=[RST])
            assert (await ask(proxy)).status == 502
            assert await spent(proxy) == -(-len(chat()) // 4) * IN

    async def test_cut(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget(1))) as proxy:
            events = wire.chat_events(usage=True)
            vendor.say(headers=wire.EVENT_STREAM, chunks=[*events[:5], RST])
            answer = await ask(proxy, chat(stream=True))
            assert b"error" in answer.body and wire.DONE not in answer.body
            cost = await spent(proxy)
            assert 0 < cost < (len(chat()) + 64) * IN + 50 * OUT

    async def test_the_caller_goes(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget(1))) as proxy:
            vendor.say(before_head=[WaitFor(asyncio.Event())], body=b"")
            caller = await proxy.call()
            asked = asyncio.create_task(caller.ask("POST", CHAT, body=chat()))  # noqa: TID251
            await vendor.arrived.reach(1)
            assert await spent(proxy) == (len(chat()) + 64) * IN + 50 * OUT
            asked.cancel()
            caller.leave()
            await vendor.gone.reach(1)
            while await spent(proxy) != -(-len(chat()) // 4) * IN:
                await asyncio.sleep(0.001)

    async def test_a_fallback_holds_anew_at_its_own_price(self, vendor: Vendor) -> None:
        both = [
            {**target("away", "dear"), "price": {"input": 10, "output": 10}},
            {**target("vendor", "m-1", weight=0), "price": PRICE},
        ]
        configuration = limited(
            vendor,
            key=budget(1),
            models={"m": {"targets": both}},
            providers={
                "vendor": provider(vendor.url),
                "away": provider(f"http://127.0.0.1:{closed_port()}/v1"),
            },
        )
        async with gateway(configuration) as proxy:
            answer = await ask(proxy)
            assert answer.status == 200
            left = 10**9 - ((len(chat()) + 64) * IN + 50 * OUT)
            assert answer.header("x-llm-proxy-budget-remaining") == usd(left)
            assert await spent(proxy) == TRUE

    async def test_too_dear_for_the_first_target(self, vendor: Vendor) -> None:
        both = [
            {**target("vendor", "dear"), "price": {"input": 10_000, "output": 10}},
            {**target("vendor", "m-1", weight=0), "price": PRICE},
        ]
        configuration = limited(vendor, key=budget("0.001"), models={"m": {"targets": both}})
        async with gateway(configuration) as proxy:
            assert (await ask(proxy)).status == 200
            assert jsonio.loads(vendor.requests[0].body)["model"] == "m-1"
            assert await spent(proxy) == TRUE

    async def test_more_than_was_held_is_charged_too(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget(1))) as proxy:
            usage = wire.chat_usage(10_000, 10_000)
            vendor.say(body=wire.chat_body(usage=usage))
            assert (await ask(proxy)).status == 200
            assert await spent(proxy) == 10_000 * (IN + OUT)


class TestWithoutACap:
    """Requests that name no cap on output."""

    async def test_a_share_of_what_is_left_is_sent_as_the_cap(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget("0.01"))) as proxy:
            answer = await ask(proxy, uncapped())
            assert answer.status == 200
            paid = 10**7 // 4 - (len(uncapped()) + 64) * IN
            assert sent_cap(vendor.requests[0]) == paid // OUT
            assert await spent(proxy) == TRUE

    async def test_choices_share_the_cap(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget("0.01"))) as proxy:
            await ask(proxy, uncapped(n=2))
            paid = 10**7 // 4 - (len(uncapped(n=2)) + 64) * IN
            assert sent_cap(vendor.requests[0]) == paid // OUT // 2

    async def test_nothing_is_known_so_a_usual_cap_is_sent(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget(5))) as proxy:
            await ask(proxy, uncapped())
            assert sent_cap(vendor.requests[0]) == 4096

    async def test_what_the_model_can_make_needs_no_cap(self, vendor: Vendor) -> None:
        models = {"gpt": {"targets": [target("vendor", "gpt-4o")], "price": PRICE}}
        async with gateway(limited(vendor, key=budget(5), models=models)) as proxy:
            body = uncapped(model="gpt")
            answer = await ask(proxy, body)
            assert sent_cap(vendor.requests[0]) is None
            left = 5 * 10**9 - ((len(body) + 64) * IN + 16_384 * OUT)
            assert answer.header("x-llm-proxy-budget-remaining") == usd(left)

    async def test_the_callers_own_cap_stays(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget("0.01"))) as proxy:
            await ask(proxy, chat(max_tokens=7))
            assert sent_cap(vendor.requests[0]) == 7

    async def test_soft_budgets_cap_nothing(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget("0.00001", hard=False))) as proxy:
            answer = await ask(proxy, uncapped())
            assert answer.status == 200
            assert answer.header("x-llm-proxy-budget-remaining") is None
            assert sent_cap(vendor.requests[0]) is None

    async def test_a_stream_ends_when_its_hold_is_spent(self, vendor: Vendor) -> None:
        """Its hold grows step by step, to all that the budget has; then an error, no [DONE]."""
        amount = (len(uncapped(stream=True)) + 64) * IN + 20_000 * OUT
        async with gateway(limited(vendor, key=budget(f"{amount / 10**9:.9f}"))) as proxy:
            words = ["x" * 100] * 1000
            vendor.say(headers=wire.EVENT_STREAM, chunks=wire.chat_events(*words, usage=True))
            answer = await ask(proxy, uncapped(stream=True))
            assert sent_cap(vendor.requests[0]) is None
            assert answer.status == 200
            assert b'"type":"insufficient_quota"' in answer.body.splitlines()[-2]
            assert wire.DONE not in answer.body
            assert 150 <= answer.body.count(b"xxxx") // 25 <= 201 * 4
            assert 0 < await spent(proxy) <= amount

    async def test_a_stream_that_fits_grows_and_ends_well(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget(1))) as proxy:
            words = ["x" * 100] * 1000
            vendor.say(headers=wire.EVENT_STREAM, chunks=wire.chat_events(*words, usage=True))
            answer = await ask(proxy, uncapped(stream=True))
            assert answer.body.endswith(wire.DONE)
            assert answer.body.count(b"x" * 100) == 1000
            assert await spent(proxy) == 19 * IN + 1001 * OUT


class TestOperations:
    """Everything but chat."""

    async def test_embeddings_and_responses(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget(1))) as proxy:
            body = jsonio.dumps({"model": "m", "input": ["one", "two"]})
            answer = await ask(proxy, body, "/v1/embeddings")
            left = 10**9 - (len(body) + 64) * IN
            assert answer.header("x-llm-proxy-budget-remaining") == usd(left)
            assert await spent(proxy) == 8 * IN
            body = jsonio.dumps({"model": "m", "input": "hi", "max_output_tokens": 90})
            await ask(proxy, body, "/v1/responses")
            assert await spent(proxy) == 8 * IN + 36 * IN + 10 * OUT

    async def test_pictures_by_the_piece(self, vendor: Vendor) -> None:
        models = {"i": {"targets": [target("vendor", "i-1")], "price": {"image": "0.04"}}}
        async with gateway(limited(vendor, key=budget("0.10"), models=models)) as proxy:
            vendor.say(body=jsonio.dumps({"created": 1, "data": [{"b64_json": "AA=="}] * 2}))
            body = jsonio.dumps({"model": "i", "prompt": "a cat", "n": 2})
            assert (await ask(proxy, body, "/v1/images/generations")).status == 200
            assert await spent(proxy) == 80_000_000
            body = jsonio.dumps({"model": "i", "prompt": "a cat"})
            assert (await ask(proxy, body, "/v1/images/generations")).status == 429
            assert vendor.calls == 1

    async def test_speech_has_no_usage_so_all_that_was_held_is_charged(
        self, vendor: Vendor
    ) -> None:
        async with gateway(limited(vendor, key=budget(1))) as proxy:
            vendor.say(headers=[("content-type", "audio/mpeg")], body=b"sound")
            body = jsonio.dumps({"model": "m", "input": "say this", "voice": "alloy"})
            assert (await ask(proxy, body, "/v1/audio/speech")).status == 200
            size = len(body) + 64
            assert await spent(proxy) == size * IN + 4 * size * OUT

    async def test_no_operation_passes_a_hard_budget_unpriced(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget(1))) as proxy:
            for path in ("/v1/batches", "/v1/fine_tuning/jobs", "/v1/containers"):
                answer = await ask(proxy, b"{}", path)
                assert answer.error["code"] == "model_not_priced", path
            answer = await ask(proxy, chat(model="unpriced"))
            assert (answer.status, answer.error["code"]) == (503, "model_not_priced")
            assert "`nobody-knows` of provider `vendor`" in answer.error["message"]
            assert vendor.calls == 0
            caller = await proxy.call()
            vendor.always(Reply(body=b"{}"))
            assert (await caller.ask("GET", "/v1/files")).status == 200
            assert (await ask(proxy, b"{}", "/v1/files")).status == 200

    async def test_a_soft_budget_lets_the_unpriced_pass(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=budget(1, hard=False))) as proxy:
            assert (await ask(proxy, chat(model="unpriced"))).status == 200
            assert (await ask(proxy)).status == 200
            assert await spent(proxy) == TRUE


async def test_all_scopes_are_walls_and_pay_together(vendor: Vendor) -> None:
    walls = {"budgets": [{"amount": "0.001", "period": "month"}]}
    configuration = limited(
        vendor, key={"team": "red", "user": "ada", "tags": ["x"], **budget(1)}, teams={"red": walls}
    )
    async with gateway(configuration) as proxy:
        assert (await ask(proxy)).status == 200
        assert await spent(proxy) == TRUE
        answer = await ask(proxy, chat(max_tokens=500))
        assert "the budget of team `red`" in answer.error["message"]
        assert await spent(proxy) == TRUE  # What one refuses the others did not pay.


async def test_text_is_counted_before_it_is_refused(vendor: Vendor) -> None:
    """By its bytes it would be too dear; counted, it is not. Of another vendor's model half as
    much again is assumed."""
    text = "the quick brown fox jumps over the lazy dog. " * 100
    body = chat(messages=[{"role": "user", "content": text}], model="gpt-4o", max_tokens=10)
    models = {
        "gpt-4o": {"targets": [target("vendor", "gpt-4o")], "price": PRICE},
        "m": {"targets": [target("vendor", "m-1")], "price": PRICE},
    }
    tight = limited(vendor, key=budget("0.0012"), models=models)
    async with gateway(tight) as proxy:
        assert (len(body) * IN) > 1_200_000
        answer = await ask(proxy, body)
        assert answer.status == 200
        assert await spent(proxy) == TRUE
        other = chat(messages=[{"role": "user", "content": text}], max_tokens=10)
        assert (await ask(proxy, other)).status == 429


async def test_rollover_is_told(vendor: Vendor) -> None:
    rolling = budget("0.001", rollover={"fraction": 0.5, "expires": 2})
    async with gateway(limited(vendor, key=rolling)) as proxy:
        assert (await ask(proxy)).status == 200
        assert await spent(proxy) == TRUE


async def test_a_reload_forgets_no_money(vendor: Vendor) -> None:
    configuration = limited(vendor, key=budget(1))
    async with gateway(configuration) as proxy:
        await ask(proxy)
        await proxy.reload(limited(vendor, key=budget(2)))
        assert await spent(proxy) == TRUE
