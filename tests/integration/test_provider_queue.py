"""A provider's queue in the whole service: who waits is served by the same provider."""

import asyncio
from typing import Any

from tests.fakes import openai_wire as wire
from tests.fakes.vendor import Pause, Vendor
from tests.integration.gateway import ALL, Gateway, gateway, provider, settings, target
from tests.integration.raw_caller import Answer

CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


def queued(vendor: Vendor, queue: int) -> dict[str, Any]:
    """One slot at the vendor, and demo as what comes after it."""
    return settings(
        vendor,
        providers={
            "vendor": provider(vendor.url, limits={"concurrency": 1}, queue=queue),
            "demo": {"kind": "demo", "delay": "1ms"},
        },
        models={"m": {"targets": [target("vendor", "m"), target("demo", "demo-1", tier=2)]}},
        passthrough=None,
        keys=[{"name": "all", "key": ALL}],
    )


async def ask(proxy: Gateway) -> Answer:
    return await (await proxy.call()).ask("POST", "/v1/chat/completions", body=CHAT)


async def two(vendor: Vendor, queue: int) -> list[str]:
    """Who answers two requests, of which the second comes while the first is under way."""
    vendor.say(before_head=[Pause(0.3)], body=wire.chat_body())
    async with gateway(queued(vendor, queue)) as proxy:
        first = asyncio.get_running_loop().create_task(ask(proxy))
        await vendor.arrived.reach(1)
        second = await ask(proxy)
        return [answer.header("x-llm-proxy-provider") or "" for answer in (await first, second)]


async def test_who_waits_is_served_by_the_same_provider(vendor: Vendor) -> None:
    assert await two(vendor, queue=1) == ["vendor", "vendor"]


async def test_without_a_queue_the_next_target_answers(vendor: Vendor) -> None:
    assert await two(vendor, queue=0) == ["vendor", "demo"]
