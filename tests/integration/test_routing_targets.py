"""Which target answers: every strategy by its name in the configuration, tiers, residency, windows
and capabilities, on the wire."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.vendor import Reply, WaitFor
from tests.integration.gateway import gateway
from tests.integration.raw_caller import Fields
from tests.integration.routing_vendors import (
    Vendors,
    ask,
    ask_all,
    chat,
    configured,
    fields,
    model,
    served,
    tried,
    vendors,
)

BROKEN = Reply(status=500, body=b'{"error":{"message":"no"}}')
Asks = list[tuple[bytes, Fields]]
CHEAP, DEAR = {"input": 1, "output": 1}, {"input": 9, "output": 9}
A, B = (
    {"provider": "a", "price": DEAR, "quality": 0.9},
    {
        "provider": "b",
        "price": CHEAP,
        "quality": 0.2,
    },
)


async def shares(targets: list[Mapping[str, Any]], asks: int, **more: Any) -> Counter[str | None]:
    """Who answers how often, of two vendors."""
    async with vendors("a", "b") as known:
        configuration = configured(known, {"m": model(*targets, **more)})
        answers = await ask_all(configuration, [(chat(), ())] * asks)
        found = Counter(served(answer) for answer in answers)
        assert found == Counter({name: n for name, n in known.calls().items() if n})
        return found


class TestStrategies:
    """Each, by what only it would do."""

    async def test_weighted(self) -> None:
        found = await shares([{**A, "weight": 3}, {**B, "weight": 1}], 120, strategy="weighted")
        assert 60 < found["a"] < 115 and found["b"] > 5

    async def test_round_robin(self) -> None:
        found = await shares([{**A, "weight": 2}, {**B, "weight": 1}], 30, strategy="round_robin")
        assert found == {"a": 20, "b": 10}

    async def test_cost(self) -> None:
        assert await shares([A, B], 12, strategy="cost") == {"b": 12}

    async def test_score(self) -> None:
        assert await shares([A, B], 12, strategy="score", score={"quality": 1}) == {"a": 12}
        assert await shares([A, B], 12, strategy="score", score={"cost": 1}) == {"b": 12}

    async def test_cheapest_above(self) -> None:
        async with vendors("a", "b") as known:
            configuration = configured(known, {"m": model(A, B, strategy="cheapest_above")})
            hard = "Prove that $\\int_0^1 x^2 dx = 1/3$ and write ```python\ndef f(x):\n  pass```"
            message = {"role": "user", "content": hard + " and explain each step " * 100}
            easy, difficult = await ask_all(
                configuration, [(chat(), ()), (chat(messages=[message]), ())]
            )
        assert (served(easy), served(difficult)) == ("b", "a")

    async def test_sticky(self) -> None:
        asks: Asks = [(chat(), [("x-llm-proxy-session", f"s{number % 8}")]) for number in range(32)]
        async with vendors("a", "b") as known:
            configuration = configured(known, {"m": model(A, B, strategy="sticky")})
            answers = [served(answer) for answer in await ask_all(configuration, asks)]
        assert answers[:8] * 4 == answers and set(answers) == {"a", "b"}

    async def test_latency(self) -> None:
        async with vendors("a", "b") as known:
            known["a"].always(lambda _: Reply(body=b"{}", before_head=[WaitFor(go)]))
            go = asyncio.Event()
            configuration = configured(known, {"m": model(A, B, strategy="latency")})
            async with gateway(configuration) as proxy:
                asyncio.get_running_loop().call_later(0.2, go.set)
                for _ in range(40):
                    assert (await ask(proxy)).status == 200
                    go.set() if known["a"].calls > 1 else None
        assert known["b"].calls > 30

    async def test_least_busy(self) -> None:
        async with vendors("a", "b") as known:
            go = asyncio.Event()
            for vendor in known.values():
                vendor.always(Reply(body=b"{}", before_head=[WaitFor(go)]))
            configuration = configured(known, {"m": model(A, B, strategy="least_busy")})
            async with gateway(configuration) as proxy, asyncio.TaskGroup() as group:
                for number in range(10):
                    group.create_task(ask(proxy))
                    while sum(known.calls().values()) <= number:
                        await asyncio.sleep(0.001)
                assert known.calls() == {"a": 5, "b": 5}
                go.set()


TIERS = {"m": model({"provider": "a", "tier": 1}, {"provider": "b", "tier": 2})}


class TestTiers:
    async def test_the_second_only_when_the_first_is_out(self) -> None:
        async with vendors("a", "b") as known:
            configuration = configured(known, TIERS)
            async with gateway(configuration) as proxy:
                first = await ask(proxy)
                known["a"].say(status=503, body=b"{}")
                second = await ask(proxy)
                third = await ask(proxy)
        told = [(served(each), each.header("x-llm-proxy-tier")) for each in (first, second, third)]
        assert told == [("a", "1"), ("b", "2"), ("a", "1")]
        assert second.header("x-llm-proxy-attempts") == "2"
        assert second.header("x-llm-proxy-fallback-from") is None  # It is the same model.

    async def test_one_tier_is_not_told(self) -> None:
        async with vendors("a") as known:
            (answer,) = await ask_all(configured(known, {"m": model("a")}), [(chat(), ())])
        assert answer.header("x-llm-proxy-tier") is None

    async def test_a_provider_that_is_off_is_out(self) -> None:
        async with vendors("a", "b") as known:
            configuration = configured(known, TIERS, providers={"a": {"enabled": False}})
            (answer,) = await ask_all(configuration, [(chat(), ())])
            assert (served(answer), answer.header("x-llm-proxy-tier")) == ("b", "2")
            assert known.asked() == {"b"}


HOUSE = {
    "m": model("home", {"provider": "cloud", "tier": 2}, fallback={"models": ["n"]}),
    "n": model("cloud", {"provider": "shed", "weight": 0.1}),
    "away": model("cloud"),
}
PRIVATE = [{"name": "private", "when": {"tags": ["private"]}, "residency": "local"}]
LOCAL = {"home": {"residency": "local"}, "shed": {"residency": "local"}}


class TestResidency:
    """What is to stay in the house is never sent out of it, whatever fails."""

    def _configured(self, known: Vendors, **more: Any) -> dict[str, Any]:
        return configured(known, HOUSE, providers=LOCAL, rules=PRIVATE, **more)

    @pytest.mark.parametrize(
        "header", [("x-llm-proxy-tags", "private"), ("x-llm-proxy-residency", "local")]
    )
    async def test_in_fallback(self, header: tuple[str, str], tmp_path: Path) -> None:
        async with vendors("home", "cloud", "shed") as known:
            known["home"].always(BROKEN)
            configuration = self._configured(known, folder=tmp_path)
            asks: Asks = [(chat(), [header])] * 6
            answers = await ask_all(configuration, asks)
            assert [served(answer) for answer in answers] == ["shed"] * 6
            assert known["cloud"].calls == 0
        assert (await tried(tmp_path))[0] == [("home", "server"), ("shed", None)]

    async def test_when_all_of_the_house_fails(self) -> None:
        async with vendors("home", "cloud", "shed") as known:
            known["home"].always(BROKEN)
            known["shed"].always(BROKEN)
            asks: Asks = [(chat(), [("x-llm-proxy-tags", "private")])] * 8
            answers = await ask_all(self._configured(known), asks)  # Breakers open on the way.
            assert {answer.status for answer in answers} == {500, 503}
            assert known["cloud"].calls == 0

    async def test_nothing_local_is_a_refusal(self) -> None:
        async with vendors("home", "cloud", "shed") as known:
            asks: Asks = [
                (chat("away"), [("x-llm-proxy-tags", "private")]),
                (chat("away"), [("x-llm-proxy-residency", "local")]),
            ]
            for answer in await ask_all(self._configured(known), asks):
                assert (answer.status, answer.error["code"]) == (400, "no_target_meets_request")
            assert not known.asked()

    async def test_a_wish_does_not_loosen_a_rule(self) -> None:
        async with vendors("home", "cloud", "shed") as known:
            headers = [("x-llm-proxy-tags", "private"), ("x-llm-proxy-residency", "cloud")]
            (answer,) = await ask_all(self._configured(known), [(chat(), headers)])
            assert answer.status == 400 and not known.asked()


def conversation(turns: int) -> list[dict[str, str]]:
    """Instructions, and so many turns of about 25 tokens each."""
    said = [{"role": "system", "content": "Be brief."}]
    for number in range(turns):
        role = "assistant" if number % 2 else "user"
        said.append({"role": role, "content": f"turn {number} " + "word " * 18})
    return said


LONG = {
    "m": model({"provider": "a", "context_window": 4000}, fallback={"models": ["n"]}),
    "n": model({"provider": "b", "context_window": 700}),
}


class TestContext:
    """What is too long for the fallback."""

    async def test_windowed(self) -> None:
        async with vendors("a", "b") as known:
            known["a"].say(status=503, body=b"{}")
            configuration = configured(known, LONG, agents={"brief": {"context": "windowed"}})
            body = chat(messages=conversation(41), max_tokens=50)
            (answer,) = await ask_all(configuration, [(body, [("x-llm-proxy-agent", "brief")])])
            assert (served(answer), answer.header("x-llm-proxy-context")) == ("b", "windowed")
            whole = fields(known["a"].requests[0])["messages"]
            left = fields(known["b"].requests[0])["messages"]
        assert whole == conversation(41)
        assert left[0] == whole[0] and left[-1] == whole[-1] and 3 < len(left) < 20
        assert left[1:] == whole[-len(left) + 1 :]

    async def test_full_is_never_cut(self) -> None:
        async with vendors("a", "b") as known:
            known["a"].say(status=503, body=b"{}")
            body = chat(messages=conversation(41), max_tokens=50)
            (answer,) = await ask_all(configured(known, LONG), [(body, ())])
            assert answer.status == 503 and known.asked() == {"a"}


NEEDS: dict[str, dict[str, Any]] = {
    "tools": {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
    "json_schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}
    },
    "vision": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}
                ],
            }
        ]
    },
}


@pytest.mark.parametrize("need", NEEDS)
async def test_what_a_target_lacks_skips_it(need: str) -> None:
    able: dict[str, Any] = {"provider": "a", "capabilities": ["chat"]}
    async with vendors("a", "b") as known:
        configuration = configured(known, {"m": model(able, {"provider": "b", "tier": 2})})
        plain, needing = await ask_all(configuration, [(chat(), ()), (chat(**NEEDS[need]), ())])
        assert (served(plain), served(needing)) == ("a", "b")
        assert needing.header("x-llm-proxy-attempts") is None  # It was not asked in vain.
