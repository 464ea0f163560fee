"""What no wish and no way around a rule reaches: models of others, vendors outside the house."""

from typing import Any

import pytest

from proxy.base.jsonio import dumps
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
@pytest.mark.parametrize(("models", "status"), [(["m"], 400), (["m", "o"], 200)])
async def test_a_wished_fallback_is_one_that_the_key_may_name(
    more: dict[str, Any], headers: Fields, models: list[str], status: int
) -> None:
    async with vendors("a", "b") as known:
        known["a"].always(Reply(status=500, body=b"{}"))
        settings = {"m": model("a"), "o": model("b")}
        async with gateway(configured(known, settings, key={"models": models})) as proxy:
            assert (await ask(proxy, chat(**more), headers)).status == status
        assert known.asked() == (set() if status == 400 else {"a", "b"})


async def test_a_wish_does_not_tell_hidden_models_from_those_that_are_not_there() -> None:
    async with vendors("a", "b") as known:
        settings = {"m": model("a"), "o": model("b"), "secret": model("b", access="classified")}
        told = set()
        async with gateway(configured(known, settings, key={"models": ["m", "s*"]})) as proxy:
            for name in ("o", "p", "secret", "unknown"):
                answer = await ask(proxy, chat(metadata={"fallbacks": name}))
                told.add((answer.status, answer.body.replace(f"`{name}`".encode(), b"?")))
        assert len(told) == 1 and known.asked() == set()


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


@pytest.mark.parametrize(
    ("wish", "header", "asked"),
    [("local", None, set()), ("cloud", None, {"a"}), ("local", "cloud", {"a"}), (7, None, set())],
)
async def test_a_body_without_a_model_wishes_as_a_header_does(
    wish: object, header: str | None, asked: set[str]
) -> None:
    async with vendors("a") as known:
        more: dict[str, Any] = {"passthrough": {"provider": "a"}}
        async with gateway(configured(known, {"m": model("a")}, **more)) as proxy:
            body = dumps({"messages": [], "metadata": {"residency": wish}})
            headers = [("x-llm-proxy-residency", header)] if header is not None else []
            answer = await ask(proxy, body, headers)
        assert known.asked() == asked
        assert asked or (answer.status, answer.error["code"]) == (400, "no_target_meets_request")
