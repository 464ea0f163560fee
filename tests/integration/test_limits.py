"""Limits as callers meet them: refusals, header fields, slots, waiting, numbers that are none."""

import asyncio
from typing import Any

import openai
import pytest

from proxy.base import jsonio
from tests.conformance.judge import JUDGES
from tests.fakes import openai_wire as wire
from tests.fakes.vendor import RST, Pause, Reply, Vendor, WaitFor
from tests.integration.gateway import Gateway, closed_port, gateway, provider, target
from tests.integration.purse import KEY, limited, taken
from tests.integration.raw_caller import Answer

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "hi"}]
USED = 19 + 10


def chat(**more: Any) -> bytes:
    return jsonio.dumps({"model": "m", "messages": MESSAGES, "max_tokens": 50, **more})


def limits(**numbers: int) -> dict[str, Any]:
    return {"limits": numbers}


async def ask(proxy: Gateway, body: bytes | None = None, path: str = CHAT, **fields: str) -> Answer:
    named = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return await (await proxy.call()).ask("POST", path, body=body or chat(), headers=named)


async def free_again(proxy: Gateway) -> None:
    while await taken(proxy, "concurrency") != [0]:
        await asyncio.sleep(0.001)


class TestRates:
    """Requests and tokens per time."""

    async def test_so_many_and_not_one_more(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=limits(rpm=3))) as proxy:
            answers = await asyncio.gather(*(ask(proxy) for _ in range(10)))
            assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 7
            assert vendor.calls == 3
            refused = next(answer for answer in answers if answer.status == 429)
            assert refused.error["type"] == "rate_limit_error"
            assert refused.error["code"] == "rate_limit_exceeded"
            assert (
                "the key `purse` has used up its limit of 3 requests per minute (`rpm`)"
                in (refused.error["message"])
            )
            seconds = int(refused.header("retry-after") or 0)
            assert 55 <= seconds <= 61
            ms = int(refused.header("retry-after-ms") or 0)
            assert 1000 * (seconds - 1) < ms <= 1000 * seconds
            assert refused.header("x-ratelimit-remaining-requests") == "0"
            assert refused.header("x-should-retry") is None

    async def test_a_good_answer_tells_how_limits_stand(self, vendor: Vendor) -> None:
        vendor.say(
            headers=[("content-type", "application/json"), ("x-ratelimit-limit-requests", "9")],
            body=wire.chat_body(),
        )
        numbers = limits(rpm=10, rpd=100_000, tpm=5000)
        async with gateway(limited(vendor, key=numbers)) as proxy:
            answer = await ask(proxy)
            assert answer.header("x-ratelimit-limit-requests") == "10"
            assert answer.header("x-ratelimit-remaining-requests") == "9"
            assert (answer.header("x-ratelimit-reset-requests") or "").startswith("1m")
            assert answer.header("x-ratelimit-limit-tokens") == "5000"
            held = len(chat()) + 64 + 50
            assert answer.header("x-ratelimit-remaining-tokens") == str(5000 - held)
            assert await taken(proxy, "tokens") == [USED]
            streamed = await ask(proxy, chat(stream=True))
            assert streamed.header("x-ratelimit-remaining-tokens") == str(5000 - USED - held - 14)

    async def test_a_request_that_was_never_sent_takes_nothing(self, vendor: Vendor) -> None:
        away = {"vendor": provider(f"http://127.0.0.1:{closed_port()}/v1")}
        async with gateway(limited(vendor, key=limits(rpm=5, tpm=900), providers=away)) as proxy:
            assert (await ask(proxy)).status == 502
            assert await taken(proxy, "requests") == [0]
            assert await taken(proxy, "tokens") == [0]

    async def test_what_can_never_pass_says_so(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=limits(tpm=100))) as proxy:
            answer = await ask(proxy, chat(max_tokens=101))
            assert answer.status == 429
            assert "needs more than the limit of key `purse`" in answer.error["message"]
            assert answer.header("x-should-retry") == "false"
            assert answer.header("retry-after") is None

    async def test_text_is_counted_before_it_is_refused(self, vendor: Vendor) -> None:
        text = "the quick brown fox jumps over the lazy dog. " * 100  # 4500 bytes, 1000 tokens.
        body = chat(model="gpt-4o", messages=[{"role": "user", "content": text}])
        for numbers in (limits(tpm=1200), limits(tokens_per_request=1200)):
            async with gateway(limited(vendor, key=numbers)) as proxy:
                assert (await ask(proxy, body)).status == 200
                other = body.replace(b'"gpt-4o"', b'"m"')  # Half as much again is assumed.
                assert (await ask(proxy, other)).status == 429

    async def test_one_request_may_be_too_long(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, key=limits(tokens_per_request=300))) as proxy:
            assert (await ask(proxy)).status == 200
            answer = await ask(proxy, chat(max_tokens=5000))
            assert "more than the 300 that key `purse` allows" in answer.error["message"]
            assert answer.header("x-should-retry") == "false"

    async def test_customers_and_tags_have_their_own(self, vendor: Vendor) -> None:
        configuration = limited(
            vendor, customers={"*": limits(rpm=1)}, tags={"batch": limits(rpm=2)}
        )
        async with gateway(configuration) as proxy:
            for customer in ("a", "b", "Zo\\u00eb", "x" * 128, "a b:c/d{e}"):
                assert (await ask(proxy, x_llm_proxy_customer=customer)).status == 200
                refused = await ask(proxy, x_llm_proxy_customer=customer)
                assert f"the customer `{customer}`" in refused.error["message"]
            tags = "batch, batch,other"
            assert [(await ask(proxy, x_llm_proxy_tags=tags)).status for _ in range(3)] == [
                200,
                200,
                429,
            ]

    async def test_a_model_of_a_key_and_the_model_itself(self, vendor: Vendor) -> None:
        models = {"m": {"targets": [target("vendor", "m-1")], **limits(rpm=3)}}
        key = {"model_limits": {"m*": limits(rpm=2)}, **limits(rpm=9)}
        async with gateway(limited(vendor, key=key, models=models)) as proxy:
            answers = [await ask(proxy) for _ in range(3)]
            assert [answer.status for answer in answers] == [200, 200, 429]
            assert "`purse/m*`" in answers[2].error["message"]

    async def test_a_providers_own_limit_leads_to_the_next(self, vendor: Vendor) -> None:
        both = {
            "first": {**provider(vendor.url), **limits(rpm=1)},
            "vendor": provider(vendor.url),
        }
        models = {"m": {"targets": [target("first", "a"), target("vendor", "b", weight=0)]}}
        configuration = limited(vendor, providers=both, models=models)
        async with gateway(configuration) as proxy:
            names = [(await ask(proxy)).header("x-llm-proxy-provider") for _ in range(3)]
            assert names == ["first", "vendor", "vendor"]


@pytest.mark.parametrize("name", JUDGES)
async def test_the_sdk_comes_again_when_it_is_told(vendor: Vendor, name: str) -> None:
    """A slot is busy: `retry-after` is one second, and the SDK waits for it."""
    async with gateway(limited(vendor, key=limits(concurrency=1))) as proxy:
        vendor.say(before_head=[Pause(0.8)], body=wire.chat_body())
        first = asyncio.create_task(ask(proxy))  # noqa: TID251
        await vendor.arrived.reach(1)
        judge = JUDGES[name](proxy.url, KEY)

        def create(client: Any) -> Any:
            return client.chat.completions.create(model="m", messages=MESSAGES)

        with pytest.raises(openai.RateLimitError) as caught:
            await judge.ask(create)
        assert caught.value.response.headers["retry-after"] == "1"
        assert caught.value.code == "rate_limit_exceeded"
        said = await judge.ask(create, max_retries=1)
        assert said.choices[0].message.content == "".join(wire.WORDS)
        assert len(judge.sent) == 3
        await first
        await judge.close()


class TestSlots:
    """Concurrency: freed whatever becomes of a request."""

    async def test_it_is_freed_in_every_ending(self, vendor: Vendor) -> None:
        events = wire.chat_events(usage=True)
        async with gateway(limited(vendor, key=limits(concurrency=1))) as proxy:
            for said, streamed in (
                ({"body": wire.chat_body()}, False),
                ({"headers": wire.EVENT_STREAM, "chunks": events}, True),
                ({"status": 500, "body": b"{}"}, False),
                ({"status": 429, "body": wire.error_body("no")}, False),
                ({"before_head": [RST]}, False),
                ({"headers": wire.EVENT_STREAM, "chunks": [*events[:3], RST]}, True),
                ({"body": wire.chat_body(), "cut_after": 20}, False),
            ):
                vendor.say(**said)
                answer = await ask(proxy, chat(stream=streamed))
                assert answer.status != 429 or b"no" in answer.body
                assert await taken(proxy, "concurrency") == [0]
            assert (await ask(proxy, chat(model="nobody"))).status == 404
            assert (await ask(proxy, b"{")).status == 400
            assert await taken(proxy, "concurrency") == [0]

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_it_is_freed_when_the_caller_goes(self, vendor: Vendor, streamed: bool) -> None:
        async with gateway(limited(vendor, key=limits(concurrency=1))) as proxy:
            never = asyncio.Event()
            if streamed:
                event = wire.chat_events()[0]
                vendor.say(headers=wire.EVENT_STREAM, chunks=[event, WaitFor(never)])
            else:
                vendor.say(before_head=[WaitFor(never)])
            caller = await proxy.call()
            asked = asyncio.create_task(  # noqa: TID251
                caller.ask("POST", CHAT, body=chat(stream=streamed))
            )
            await vendor.arrived.reach(1)
            assert (await ask(proxy)).status == 429
            asked.cancel()
            caller.leave()
            await free_again(proxy)

    async def test_requests_wait_for_a_slot(self, vendor: Vendor) -> None:
        configuration = limited(vendor, key=limits(concurrency=1), max_queue=3)
        async with gateway(configuration) as proxy:
            answers = await asyncio.gather(*(ask(proxy) for _ in range(4)))
            assert [answer.status for answer in answers] == [200] * 4
            assert vendor.calls == 4
            go = asyncio.Event()
            vendor.always(lambda _: Reply(before_head=[WaitFor(go)], body=wire.chat_body()))
            asked = [asyncio.create_task(ask(proxy)) for _ in range(8)]  # noqa: TID251
            while sum(task.done() for task in asked) < 4:
                await asyncio.sleep(0.001)
            stores = proxy.app._stores
            assert stores is not None and stores.room.waiting == 3
            go.set()
            statuses = sorted([(await task).status for task in asked])
            assert statuses == [200] * 4 + [429] * 4
            assert stores.room.waiting == 0

    async def test_who_goes_while_waiting_leaves_no_trace(self, vendor: Vendor) -> None:
        configuration = limited(vendor, key=limits(concurrency=1), max_queue=3)
        async with gateway(configuration) as proxy:
            go = asyncio.Event()
            vendor.say(before_head=[WaitFor(go)], body=wire.chat_body())
            first = asyncio.create_task(ask(proxy))  # noqa: TID251
            await vendor.arrived.reach(1)
            stores = proxy.app._stores
            assert stores is not None
            caller = await proxy.call()
            waits = asyncio.create_task(caller.ask("POST", CHAT, body=chat()))  # noqa: TID251
            while not stores.room.waiting:
                await asyncio.sleep(0.001)
            waits.cancel()
            caller.leave()
            while stores.room.waiting:
                await asyncio.sleep(0.001)
            go.set()
            assert (await first).status == 200
            await free_again(proxy)
            assert vendor.calls == 1


class TestBadInput:
    """Numbers that no request can mean are refused by name, whether anything is limited or not."""

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("max_tokens", 10**18),
            ("max_tokens", -1),
            ("max_tokens", 0),
            ("max_tokens", "100"),
            ("max_tokens", 1.5),
            ("max_tokens", True),
            ("max_tokens", [5]),
            ("max_completion_tokens", 10**18),
            ("n", 1000),
            ("n", 0),
            ("n", "2"),
        ],
    )
    async def test_it_is_named(
        self, proxy: Gateway, vendor: Vendor, field: str, value: Any
    ) -> None:
        answer = await ask(proxy, chat(model="gpt-4o-mini", **{field: value}))
        assert (answer.status, answer.error["param"]) == (400, field)
        assert f"`{field}` must be a whole number from 1 to " in answer.error["message"]
        assert vendor.calls == 0

    async def test_null_is_no_number(self, proxy: Gateway) -> None:
        body = chat(model="gpt-4o-mini", max_tokens=None, n=None)
        assert (await ask(proxy, body)).status == 200

    async def test_names_of_other_operations_mean_nothing(self, vendor: Vendor) -> None:
        """A cap that the vendor ignores is none."""
        async with gateway(limited(vendor, key=limits(tpm=4000))) as proxy:
            body = jsonio.dumps({"model": "m", "messages": MESSAGES, "max_output_tokens": 1})
            assert (await ask(proxy, body)).status == 429

    async def test_a_header_is_given_once(self, vendor: Vendor) -> None:
        async with gateway(limited(vendor, customers={"*": limits(rpm=1)})) as proxy:
            caller = await proxy.call()
            twice = [("x-llm-proxy-customer", "a"), ("X-LLM-Proxy-Customer", "b")]
            answer = await caller.ask("POST", CHAT, body=chat(), headers=twice)
            assert (answer.status, answer.error["param"]) == (400, "x-llm-proxy-customer")
            assert vendor.calls == 0
