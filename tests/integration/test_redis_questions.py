"""How often a request asks Redis: once for limits and budgets together, and once at its end."""

from typing import Any

from proxy.stores.redis.dial import ask as redis_says
from proxy.stores.redis.quotas import RedisQuotas
from tests.fakes import openai_wire as wire
from tests.fakes.redis import redis, redis_server
from tests.fakes.vendor import Vendor
from tests.integration.gateway import Gateway, gateway
from tests.integration.purse import IN, KEY, OUT, budget, limited, spent, taken

__all__ = ["redis", "redis_server"]

CHAT = b'{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}'
USED = 19 * IN + 10 * OUT


async def calls(proxy: Gateway) -> int:
    """How many scripts the server has been asked to run."""
    store = proxy.app._stores
    assert store is not None and isinstance(store.shared, RedisQuotas)
    await store.shared.settled()
    link = store.shared.node.link
    assert link is not None
    told: bytes = await redis_says(link, b"INFO", b"commandstats")
    (line,) = [each for each in told.splitlines() if each.startswith(b"cmdstat_evalsha:")]
    return int(line.partition(b"calls=")[2].partition(b",")[0])


async def test_two_commands_for_a_request(vendor: Vendor, redis: str) -> None:
    walls: dict[str, Any] = {"limits": {"rpm": 1000, "tpm": 1_000_000}, **budget(1)}
    vendor.say(body=wire.chat_body())
    async with gateway(limited(vendor, key=walls, redis=redis)) as proxy:
        caller = await proxy.call()
        fields = [("authorization", f"Bearer {KEY}")]
        first = await caller.ask("POST", "/v1/chat/completions", body=CHAT, headers=fields)
        assert first.status == 200
        requests, cost = await taken(proxy, "requests"), await spent(proxy)
        before = await calls(proxy)
        for _ in range(3):
            answer = await caller.ask("POST", "/v1/chat/completions", body=CHAT, headers=fields)
            assert answer.status == 200
            assert answer.header("x-ratelimit-remaining-requests") is not None
            assert answer.header("x-llm-proxy-budget-remaining") is not None
        assert await calls(proxy) - before == 6
        assert (await taken(proxy, "requests"))[0] - requests[0] == 3
        assert await spent(proxy) - cost == 3 * USED
