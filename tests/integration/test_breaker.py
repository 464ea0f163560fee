"""Breakers on the wire: a target that fails is left alone, tried again, and told of."""

from typing import Any

from proxy.base.clock import monotonic
from proxy.routing.health import TargetHealth
from tests.fakes.script import Reply
from tests.fakes.vendor import Vendor
from tests.integration.gateway import Gateway, gateway, provider, settings, target

CHAT = "/v1/chat/completions"
BODY = b'{"model":"m","messages":[]}'
GOOD = b'{"id":"1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
BROKEN = Reply(status=500, body=b'{"error":{"message":"no"}}')


def configured(*vendors: Vendor, **breaker: Any) -> dict[str, Any]:
    names = [f"v{number}" for number, _ in enumerate(vendors)]
    return settings(
        vendors[0],
        providers={name: provider(each.url) for name, each in zip(names, vendors, strict=True)},
        models={
            "m": {
                "targets": [target(name, "m", tier=tier + 1) for tier, name in enumerate(names)],
                "breaker": {"failures": 2, "recovery": "60s", **breaker},
            }
        },
        passthrough=None,
        keys=[{"name": "all", "key": "sk-everything"}],
    )


def health(proxy: Gateway, name: str = "v0") -> TargetHealth:
    built = proxy.app._built
    assert built is not None
    (found,) = [each for each in built.healths.known() if each.name[:2] == ("m", name)]
    return found


async def test_a_target_that_fails_is_left_alone_and_tried_again(vendor: Vendor) -> None:
    async with Vendor() as other, gateway(configured(vendor, other)) as proxy:
        vendor.always(BROKEN)
        other.always(Reply(body=GOOD))
        caller = await proxy.call()
        for _ in range(6):
            assert (await caller.ask("POST", CHAT, body=BODY)).status == 200
        assert (vendor.calls, other.calls) == (2, 6)
        health(proxy).breaker.try_now(monotonic())
        assert (await caller.ask("POST", CHAT, body=BODY)).status == 200
        assert (vendor.calls, other.calls) == (3, 7)  # It was tried, and is left alone again.
        assert (await caller.ask("POST", CHAT, body=BODY)).status == 200
        assert vendor.calls == 3
        vendor.always(Reply(body=GOOD))
        health(proxy).breaker.try_now(monotonic())
        for _ in range(3):
            assert (await caller.ask("POST", CHAT, body=BODY)).status == 200
        assert (vendor.calls, other.calls) == (6, 8)
        assert health(proxy).in_flight == health(proxy, "v1").in_flight == 0


async def test_when_all_are_left_alone_the_caller_is_told_until_when(vendor: Vendor) -> None:
    async with gateway(configured(vendor)) as proxy:
        vendor.always(BROKEN)
        caller = await proxy.call()
        for _ in range(2):
            assert (await caller.ask("POST", CHAT, body=BODY)).status == 500
        answer = await caller.ask("POST", CHAT, body=BODY)
        assert answer.status == 503
        assert 55 <= int(answer.header("retry-after") or 0) <= 60
        assert vendor.calls == 2


async def test_the_last_resort_is_a_choice(vendor: Vendor) -> None:
    async with gateway(configured(vendor, bypass=True)) as proxy:
        vendor.always(BROKEN)
        caller = await proxy.call()
        for _ in range(4):
            assert (await caller.ask("POST", CHAT, body=BODY)).status == 500
        assert vendor.calls == 4


async def test_it_outlives_a_reload(vendor: Vendor) -> None:
    async with gateway(configured(vendor)) as proxy:
        vendor.always(BROKEN)
        caller = await proxy.call()
        for _ in range(2):
            assert (await caller.ask("POST", CHAT, body=BODY)).status == 500
        await proxy.reload(configured(vendor, recovery="90s"))
        assert (await caller.ask("POST", CHAT, body=BODY)).status == 503
        assert vendor.calls == 2


async def test_what_its_vendor_wants_left_alone_is_asked_where_there_is_no_other(
    vendor: Vendor,
) -> None:
    limited = Reply(status=429, headers=[("retry-after", "30")], body=BROKEN.body)
    async with Vendor() as other, gateway(configured(vendor, other)) as proxy:
        vendor.always(limited)
        other.always(Reply(body=GOOD))
        caller = await proxy.call()
        for _ in range(4):
            assert (await caller.ask("POST", CHAT, body=BODY)).status == 200
        assert (vendor.calls, other.calls) == (1, 4)
        await proxy.reload(configured(vendor))
        answer = await caller.ask("POST", CHAT, body=BODY)
        assert (answer.status, answer.header("retry-after")) == (429, "30")
        assert vendor.calls == 2
