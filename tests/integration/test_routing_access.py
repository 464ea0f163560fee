"""What no wish and no way around a rule reaches: models of others, vendors outside the house."""

from typing import Any

import pytest

from tests.fakes.script import Reply
from tests.integration.gateway import gateway
from tests.integration.raw_caller import Fields
from tests.integration.routing_vendors import CHAT, ask, chat, configured, model, vendors

WISHED: dict[str, tuple[dict[str, Any], Fields]] = {
    "in the body": ({"metadata": {"fallbacks": "o"}}, ()),
    "as a list": ({"metadata": {"fallbacks": ["o"]}}, ()),
    "in a header": ({}, [("x-llm-proxy-fallbacks", "o")]),
}


@pytest.mark.parametrize(("more", "headers"), WISHED.values(), ids=WISHED)
@pytest.mark.parametrize(("models", "status"), [(["m"], 500), (["m", "o"], 200)])
async def test_a_wished_fallback_is_one_that_the_key_may_name(
    more: dict[str, Any], headers: Fields, models: list[str], status: int
) -> None:
    async with vendors("a", "b") as known:
        known["a"].always(Reply(status=500, body=b"{}"))
        settings = {"m": model("a"), "o": model("b")}
        async with gateway(configured(known, settings, key={"models": models})) as proxy:
            assert (await ask(proxy, chat(**more), headers)).status == status
        assert known.asked() == ({"a"} if status == 500 else {"a", "b"})


async def test_the_operator_s_fallback_is_for_whoever_is_cleared_for_it() -> None:
    async with vendors("a", "b") as known:
        known["a"].always(Reply(status=500, body=b"{}"))
        settings = {"m": model("a", fallback={"models": ["o"]}), "o": model("b")}
        async with gateway(configured(known, settings, key={"models": ["m"]})) as proxy:
            assert (await ask(proxy)).status == 200


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/files", b"secret"), (CHAT, b'{"messages":[]}'), (CHAT, chat())]
)
@pytest.mark.parametrize("headers", [(), [("x-llm-proxy-residency", "cloud")]])
async def test_what_a_rule_keeps_in_the_house_stays_there_without_a_model_too(
    path: str, body: bytes, headers: Fields
) -> None:
    rules = [{"name": "house", "residency": "local"}]
    async with vendors("cloud", "local") as known:
        more: dict[str, Any] = {"rules": rules, "passthrough": {"provider": "cloud"}}
        local = {"local": {"residency": "local"}}
        settings = {"m": model("cloud"), "o": model("local")}
        async with gateway(configured(known, settings, providers=local, **more)) as proxy:
            caller = await proxy.call()
            answer = await caller.ask("POST", path, body=body, headers=headers)
        assert (answer.status, answer.error["code"]) == (400, "no_target_meets_request")
        assert known.asked() == set()


@pytest.mark.parametrize(("wish", "asked"), [("local", set()), ("cloud", {"a"})])
async def test_a_wish_holds_without_a_model_too(wish: str, asked: set[str]) -> None:
    async with vendors("a") as known:
        more: dict[str, Any] = {"passthrough": {"provider": "a"}}
        async with gateway(configured(known, {"m": model("a")}, **more)) as proxy:
            caller = await proxy.call()
            headers = [("x-llm-proxy-residency", wish)]
            await caller.ask("POST", "/v1/files", body=b"x", headers=headers)
        assert known.asked() == asked
