"""Several keys of ours at one vendor, on the wire: shares, refusals, limits learned, reloads."""

from collections import Counter

import pytest

from tests.fakes.script import Reply
from tests.fakes.vendor import Request, Vendor
from tests.integration.gateway import Gateway, gateway, provider, settings

CHAT = "/v1/chat/completions"
BODY = b'{"model":"gpt-4o-mini","messages":[]}'
KEYS = [{"key": "sk-one", "weight": 3}, "sk-two"]
GOOD = b'{"id":"1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'


def configured(vendor: Vendor, *keys: object) -> dict[str, object]:
    return settings(
        vendor,
        providers={"vendor": provider(vendor.url, api_keys=list(keys or KEYS)),
                   "demo": {"kind": "demo"}},
    )  # fmt: skip


async def ask(proxy: Gateway, times: int = 1) -> list[int]:
    caller = await proxy.call()
    return [(await caller.ask("POST", CHAT, body=BODY)).status for _ in range(times)]


def used(vendor: Vendor, since: int = 0) -> Counter[str]:
    return Counter(
        (request.header("authorization") or "").removeprefix("Bearer ")
        for request in vendor.requests[since:]
    )


async def test_keys_are_used_by_weight(vendor: Vendor) -> None:
    async with gateway(configured(vendor)) as proxy:
        assert await ask(proxy, 40) == [200] * 40
    assert used(vendor) == {"sk-one": 30, "sk-two": 10}


@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_a_refused_key_is_left_alone(vendor: Vendor, status: int) -> None:
    def reply(request: Request) -> Reply:
        if request.header("authorization") == "Bearer sk-one":
            return Reply(status=status, body=b'{"error":{"message":"no"}}')
        return Reply(body=GOOD)

    vendor.always(reply)
    async with gateway(configured(vendor)) as proxy:
        _ = await ask(proxy)
        since = vendor.calls
        assert await ask(proxy, 10) == [200] * 10
        assert used(vendor, since) == {"sk-two": 10}
        await proxy.reload(configured(vendor))  # The same keys: what is known of them stays.
        assert await ask(proxy, 3) == [200] * 3
        assert used(vendor)["sk-one"] == 1
        await proxy.reload(configured(vendor, "sk-one", "sk-three"))
        _ = await ask(proxy, 2)
        assert used(vendor)["sk-one"] == 2


async def test_a_single_key_is_used_whatever_is_said_of_it(vendor: Vendor) -> None:
    vendor.always(Reply(status=401, body=b'{"error":{"message":"no"}}'))
    async with gateway(configured(vendor, "sk-only")) as proxy:
        assert await ask(proxy, 3) == [502] * 3
    assert used(vendor) == {"sk-only": 3}


async def test_a_key_with_nothing_left_rests_before_the_vendor_refuses_it(vendor: Vendor) -> None:
    def reply(request: Request) -> Reply:
        left = b"0" if request.header("authorization") == "Bearer sk-one" else b"9"
        return Reply(
            headers=[
                ("content-type", "application/json"),
                ("x-ratelimit-remaining-requests", left.decode()),
                ("x-ratelimit-reset-requests", "20s"),
            ],
            body=GOOD,
        )

    vendor.always(reply)
    async with gateway(configured(vendor)) as proxy:
        assert await ask(proxy, 10) == [200] * 10
    assert used(vendor) == {"sk-one": 1, "sk-two": 9}


async def test_a_single_key_with_nothing_left_refuses_nobody(vendor: Vendor) -> None:
    spent = [("content-type", "application/json"), ("x-ratelimit-remaining-tokens", "0"),
             ("x-ratelimit-reset-tokens", "6m0s")]  # fmt: skip
    vendor.always(Reply(headers=spent, body=GOOD))
    async with gateway(configured(vendor, "sk-only")) as proxy:
        assert await ask(proxy, 3) == [200] * 3
