"""What is told of several attempts, from the wire to the books: head, record, metrics, cost."""

import math
from pathlib import Path
from typing import Any

import pytest

from proxy.telemetry.metrics import Metrics
from proxy.telemetry.options import Known
from proxy.wire.record import UsageRecord
from tests.fakes.vendor import STALL, Reply
from tests.integration.gateway import gateway
from tests.integration.routing_vendors import ask, chat, configured, model, vendors
from tests.integration.test_counted_tokens import records
from tests.unit.telemetry.pages import value

BROKEN = Reply(status=500, body=b'{"error":{"message":"no"}}')
KNOWN = Known(models=frozenset(("m", "n")), providers=frozenset(("a", "b")))
RULES = [{"name": "everything", "when": {"model": ["auto"]}, "use": "m"}]
NANO = 10**9


def models(**more: Any) -> dict[str, Any]:
    return {"m": model("a", fallback={"models": ["n"]}, **more), "n": model("b")}


def counted(*found: UsageRecord) -> Metrics:
    metrics = Metrics(KNOWN)
    for record in found:
        metrics.observe(record)
    return metrics


@pytest.mark.parametrize("stream", [False, True])
async def test_a_fallback(tmp_path: Path, stream: bool) -> None:
    async with vendors("a", "b") as known:
        known["a"].always(BROKEN)
        async with gateway(configured(known, models(), folder=tmp_path, rules=RULES)) as proxy:
            answer = await ask(proxy, chat("auto", stream=stream))
    assert answer.status == 200
    told = {
        name: answer.header(f"x-llm-proxy-{name}")
        for name in ("rule", "attempts", "fallback-from", "provider", "model")
    }
    assert told == {
        "rule": "everything", "attempts": "2", "fallback-from": "m", "provider": "b",
        "model": "at-b",
    }  # fmt: skip
    (record,) = await records(tmp_path)
    assert record.cost
    cost = answer.header("x-llm-proxy-cost")
    assert (cost is None) if stream else math.isclose(float(cost or 0) * NANO, record.cost)
    assert (record.model, record.route, record.rule) == ("auto", "m", "everything")
    first, second = record.attempts
    assert (first.route, first.error, first.reason) == (None, "status", "server")
    assert (second.route, second.error, second.hedge) == ("n", None, False)
    metrics = counted(record)
    why = {"reason": "server"}
    assert value(metrics, "fallback_total", **{"from": "m", "to": "n"}, **why) == 1
    assert value(metrics, "failovers_total", provider="a", **why) == 1
    assert value(metrics, "attempts_total", provider="b", model="n", reason="none") == 1


async def test_a_model_that_is_known_to_be_down(tmp_path: Path) -> None:
    async with vendors("a", "b") as known:
        known["a"].always(BROKEN)
        sick = models(breaker={"failures": 1})
        async with gateway(configured(known, sick, folder=tmp_path, rules=RULES)) as proxy:
            await ask(proxy)
            answer = await ask(proxy)
        assert known["a"].calls == 1
    assert answer.header("x-llm-proxy-fallback-from") == "m"
    assert answer.header("x-llm-proxy-attempts") is None
    _, record = await records(tmp_path)
    assert [each.route for each in record.attempts] == ["n"]
    labels = {"from": "m", "to": "n", "reason": "not_tried"}
    assert value(counted(record), "fallback_total", **labels) == 1


async def test_a_hedge(tmp_path: Path) -> None:
    async with vendors("a", "b") as known:
        known["a"].say(before_head=[STALL])
        late = {"hedge": {"after": "50ms", "share": 0.5}}
        async with gateway(configured(known, models(**late), folder=tmp_path)) as proxy:
            answer = await ask(proxy)
    assert answer.header("x-llm-proxy-provider") == "b"
    (record,) = await records(tmp_path)
    assert [(each.hedge, each.error) for each in record.attempts] == [
        (False, "hedged"), (True, None),
    ]  # fmt: skip
    cost = answer.header("x-llm-proxy-cost")
    assert record.cost and math.isclose(float(cost or 0) * NANO, record.cost)  # Of both.
    assert value(counted(record), "hedges_total", won="true") == 1
