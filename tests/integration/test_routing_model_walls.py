"""Limits and budgets of a model hold on every way to it: asked for, as a fallback, or wished."""

from pathlib import Path
from typing import Any

import pytest

from proxy.core.quota import Calendar, Demand, Rule, Scope
from proxy.core.spending import charges
from tests.fakes import openai_wire as wire
from tests.fakes.redis import redis, redis_server
from tests.fakes.script import Reply
from tests.integration.gateway import Gateway, gateway
from tests.integration.purse import IN, OUT
from tests.integration.raw_caller import Fields
from tests.integration.routing_vendors import (
    Vendors,
    ask,
    chat,
    configured,
    model,
    served,
    vendors,
)
from tests.integration.test_counted_tokens import records

__all__ = ["redis", "redis_server"]

BODY = chat(max_tokens=50)
USED = 19 + 10
TRUE = 19 * IN + 10 * OUT
ENOUGH = TRUE + 50 * OUT
"""For one request, its tokens counted; of the rest the next one's output alone takes all."""

BROKEN = Reply(status=500, body=wire.error_body("no"))
WISH: Fields = [("x-llm-proxy-fallbacks", "o")]


def usd(nano: int) -> str:
    return f"{nano / 10**9:.9f}"


def budget(nano: int) -> dict[str, Any]:
    return {"budgets": [{"amount": usd(nano), "period": "day"}]}


def two(known: Vendors, *, wish: bool = False, **more: Any) -> dict[str, Any]:
    """`m` at a vendor that is broken, and `o`, which takes its place."""
    known["a"].always(BROKEN)
    chain = {} if wish else {"fallback": {"models": ["o"]}}
    of_m, of_o = more.pop("m", {}), more.pop("o", {})
    models = {"m": model("a", **chain, **of_m), "o": model("b", **of_o)}
    return configured(known, models, **more)


async def spent_by(proxy: Gateway, scope: Scope) -> int:
    """Nano-USD of a daily budget of a dollar."""
    stores = proxy.app._stores
    assert stores is not None
    rule = Rule(scope, "budget per day", "money", 10**9, Calendar("day"))
    grant = await stores.shared.bind((rule,)).take(Demand("look"))
    (level,) = grant.levels()
    grant.cancel()
    return 10**9 - level.remaining


@pytest.mark.parametrize("headers", [(), WISH], ids=["fallback", "wish"])
@pytest.mark.parametrize(
    ("walls", "served_times"),
    [
        (budget(ENOUGH), 1),
        ({"limits": {"rpm": 1}}, 1),
        ({"limits": {"tpm": 50 + 2 * USED}}, 1),
        ({"limits": {"tokens_per_request": 20}}, 0),
    ],
    ids=["budget", "rpm", "tpm", "tokens_per_request"],
)
async def test_no_way_leads_around_the_walls_of_a_model(
    walls: dict[str, Any], served_times: int, headers: Fields
) -> None:
    async with vendors("a", "b") as known:
        async with gateway(two(known, wish=bool(headers), o=walls)) as proxy:
            told = [(await ask(proxy, BODY, headers)).status for _ in range(4)]
        assert told == [200] * served_times + [500] * (4 - served_times)
        assert known["b"].calls == served_times


async def test_limits_of_a_key_for_a_model_hold_for_fallbacks_too() -> None:
    async with vendors("a", "b") as known:
        key = {"model_limits": {"o": {"limits": {"rpm": 2}}}}
        async with gateway(two(known, key=key)) as proxy:
            told = [(await ask(proxy, BODY)).status for _ in range(4)]
        assert told == [200, 200, 500, 500]


async def test_each_model_pays_for_its_own(tmp_path: Path) -> None:
    """What walls say was spent is what the records add up to."""
    async with vendors("a", "b") as known:
        more: dict[str, Any] = {"m": budget(10**9), "o": budget(10**9), "folder": tmp_path}
        async with gateway(two(known, **more)) as proxy:
            for _ in range(3):
                assert served(await ask(proxy, BODY)) == "b"
            for scope, cost in ((Scope("model", "m"), 0), (Scope("model", "o"), 3 * TRUE)):
                assert await spent_by(proxy, scope) == cost
        sums: dict[Scope, int] = {}
        for record in await records(tmp_path):
            for charge in charges(record):
                sums[charge.scope] = sums.get(charge.scope, 0) + charge.cost
        assert Scope("model", "m") not in sums
        assert sums[Scope("model", "o")] == sums[Scope("key_model", "all/o")] == 3 * TRUE
        assert sums[Scope("key", "all")] == 3 * TRUE


async def test_in_redis_too(redis: str) -> None:
    async with vendors("a", "b") as known:
        walls = {**budget(ENOUGH), "limits": {"rpm": 100, "concurrency": 5}}
        async with gateway(two(known, o=walls, m=budget(10**6), redis=redis)) as proxy:
            told = [(await ask(proxy, BODY)).status for _ in range(4)]
            assert told == [200, 500, 500, 500]
            assert await spent_by(proxy, Scope("model", "o")) == TRUE
            assert await spent_by(proxy, Scope("model", "m")) == 0
