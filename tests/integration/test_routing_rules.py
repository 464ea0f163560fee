"""Rules, agents, wishes and parameters, from the request to what the vendors saw."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway import gateway
from tests.integration.raw_caller import Fields
from tests.integration.routing_vendors import (
    ask,
    chat,
    configured,
    fields,
    model,
    served,
    vendors,
)
from tests.integration.test_counted_tokens import records

MODELS = {"small": model("a"), "large": model("b", fallback={"models": ["small"]})}
RULES: list[dict[str, Any]] = [
    {"name": "sql", "when": {"task": ["sql"]}, "use": "large", "priority": 9},
    {"name": "tagged", "when": {"tags": ["night"]}, "use": "large"},
    {
        "name": "payments",
        "when": {"expression": 'metadata.repo == "payments" && content_tokens < 100'},
        "use": "large",
    },
    {"name": "code", "when": {"model": ["auto"], "contains_code": True}, "use": "large"},
    {"name": "usual", "when": {"model": ["auto"]}, "use": "small"},
]
CODE = "Fix it:\n```python\ndef f(x):\n    return x + 1\n```"

Case = tuple[dict[str, Any], Fields, str, str | None]
CASES: dict[str, Case] = {
    "auto": ({"model": "auto"}, (), "a", "usual"),
    "auto, with code": (
        {"model": "auto", "messages": [{"role": "user", "content": CODE}]},
        (),
        "b",
        "code",
    ),
    "a named model needs no rule": ({"model": "small"}, (), "a", None),
    "a task in a header": ({"model": "small"}, [("x-llm-proxy-task", "sql")], "b", "sql"),
    "a task in metadata": (
        {"model": "small", "metadata": {"task_type": "sql"}}, (), "b", "sql"
    ),
    "a tag": ({"model": "small"}, [("x-llm-proxy-tags", "night")], "b", "tagged"),
    "an expression": (
        {"model": "auto", "metadata": {"repo": "payments"}}, (), "b", "payments"
    ),
    "an expression that does not hold": (
        {"model": "auto", "metadata": {"repo": "other"}}, (), "a", "usual"
    ),
    "an agent": ({"model": "small"}, [("x-llm-proxy-agent", "coder")], "b", "agent coder"),
    "a rule comes before an agent": (
        {"model": "auto"}, [("x-llm-proxy-agent", "coder")], "a", "usual"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_who_answers(name: str) -> None:
    body, headers, provider, rule = CASES[name]
    async with vendors("a", "b") as known:
        agents = {"coder": {"model": "large"}}
        configuration = configured(known, MODELS, rules=RULES, agents=agents)
        async with gateway(configuration) as proxy:
            answer = await ask(proxy, chat(**{"name": body["model"], **body}), headers)
        assert served(answer) == provider and known.asked() == {provider}
        assert answer.header("x-llm-proxy-rule") == rule
        assert answer.header("x-llm-proxy-model") == f"at-{provider}"


async def test_auto_without_a_rule_for_it_is_no_model() -> None:
    async with vendors("a", "b") as known, gateway(configured(known, MODELS)) as proxy:
        answer = await ask(proxy, chat("auto"))
        assert (answer.status, answer.error["code"]) == (404, "model_not_found")
        assert not known.asked()


async def test_a_rule_s_fallback_replaces_the_model_s(tmp_path: Path) -> None:
    async with vendors("a", "b", "c") as known:
        rules = [{"name": "r", "use": "large", "fallback": ["spare"]}]
        models = {**MODELS, "spare": model("c")}
        configuration = configured(known, models, rules=rules, folder=tmp_path)
        async with gateway(configuration) as proxy:
            known["b"].say(status=503, body=b"{}")
            assert served(await ask(proxy, chat("small"))) == "c"
        assert known.asked() == {"b", "c"}
    (record,) = await records(tmp_path)
    assert (record.rule, record.model, record.served_provider) == ("r", "small", "c")


DECLARED = {
    "m": model(
        {"provider": "a", "quality": 0.9, "tier": 1, "price": {"input": 100, "output": 100}},
        {"provider": "b", "quality": 0.5, "tier": 2, "price": {"input": 1, "output": 1}},
        fallback={"models": ["n"]},
    ),
    "n": model("c", quality=0.7, price={"input": 10, "output": 10}),
}
PROVIDERS = {"a": {"region": "us"}, "b": {"region": "eu", "residency": "local"}}

WISHES: dict[str, tuple[str, str, str | None]] = {
    # Header, value, and who answers when `a`, the first, cannot; None: nobody may.
    "max-cost": ("max_cost", "0.0005", "b"),
    "max-cost, too little": ("max_cost", "0.0000001", None),
    "min-quality": ("min_quality", "0.6", "a"),
    "min-quality, too much": ("min_quality", "0.95", None),
    "provider": ("provider", "c", "c"),
    "provider, unknown": ("provider", "nobody", None),
    "residency": ("residency", "local", "b"),
    "region": ("region", "eu", "b"),
    "tier": ("tier", "2", "b"),
    "fallbacks, none": ("fallbacks", "", "a"),
}


@pytest.mark.parametrize("name", WISHES)
@pytest.mark.parametrize("way", ["header", "metadata"])
async def test_a_wish(name: str, way: str) -> None:
    key, value, provider = WISHES[name]
    headers: Fields = ()
    more: dict[str, Any] = {"max_tokens": 20}
    if way == "header":
        headers = [(f"x-llm-proxy-{key.replace('_', '-')}", value)]
    else:
        more["metadata"] = {key: value}
    async with vendors("a", "b", "c") as known:
        async with gateway(configured(known, DECLARED, providers=PROVIDERS)) as proxy:
            answer = await ask(proxy, chat(**more), headers)
        if provider is not None:
            assert served(answer) == provider and known.asked() == {provider}
            return
        assert answer.status == 400, answer
        assert answer.error["code"] == "no_target_meets_request"
        message = answer.error["message"]
        assert all(f"`{each}`" in message or each in message for each in known)
        assert not known.asked()


@pytest.mark.parametrize(
    ("header", "value"), [("max-cost", "5 cents"), ("min-quality", "high"), ("tier", "first")]
)
async def test_a_wish_that_cannot_be_read_is_refused(header: str, value: str) -> None:
    async with vendors("a", "b", "c") as known:
        async with gateway(configured(known, DECLARED, providers=PROVIDERS)) as proxy:
            answer = await ask(proxy, headers=[(f"x-llm-proxy-{header}", value)])
        assert (answer.status, answer.error["param"]) == (400, f"x-llm-proxy-{header}")
        assert not known.asked()


async def test_fallbacks_of_the_caller_replace_the_model_s() -> None:
    async with vendors("a", "b", "c") as known:
        for name in ("a", "b"):
            known[name].say(status=500, body=b"{}")
        async with gateway(configured(known, DECLARED, providers=PROVIDERS)) as proxy:
            answer = await ask(proxy, headers=[("x-llm-proxy-fallbacks", "n")])
            assert served(answer) == "c"
            for name in ("a", "b"):
                known[name].say(status=500, body=b"{}")
            answer = await ask(proxy, headers=[("x-llm-proxy-fallbacks", "")])
            assert answer.status == 500


PARAMETERS = {
    "default": {"temperature": 0.2, "top_p": 0.5},
    "limit": {"max_tokens": 100},
    "force": {"seed": 7},
}


class TestParameters:
    """What a vendor sees of them."""

    async def _seen(self, models: Mapping[str, Any], body: bytes, **more: Any) -> dict[str, Any]:
        async with vendors("a", "b") as known:
            async with gateway(configured(known, models, **more)) as proxy:
                assert (await ask(proxy, body)).status == 200
            (request,) = known["a"].requests
            return fields(request)

    async def test_default_limit_force(self) -> None:
        models = {"m": model("a", parameters=PARAMETERS)}
        seen = await self._seen(models, chat(temperature=1, max_tokens=500, seed=1))
        assert (seen["temperature"], seen["top_p"]) == (1, 0.5)
        assert (seen["max_tokens"], seen["seed"]) == (100, 7)

    async def test_a_lower_number_stays(self) -> None:
        seen = await self._seen({"m": model("a", parameters=PARAMETERS)}, chat(max_tokens=50))
        assert (seen["max_tokens"], seen["temperature"]) == (50, 0.2)

    async def test_a_rule_s_come_before_the_model_s(self) -> None:
        rules = [{"name": "r", "parameters": {"default": {"temperature": 0.9}}}]
        models = {"m": model("a", parameters=PARAMETERS)}
        seen = await self._seen(models, chat(), rules=rules)
        assert (seen["temperature"], seen["top_p"], seen["seed"]) == (0.9, 0.5, 7)

    async def test_of_one_target_not_of_the_next(self) -> None:
        models = {
            "m": model("a", parameters=PARAMETERS, fallback={"models": ["n"]}),
            "n": model("b", parameters={"force": {"temperature": 0}}),
        }
        async with vendors("a", "b") as known:
            known["a"].say(status=500, body=b"{}")
            async with gateway(configured(known, models)) as proxy:
                assert served(await ask(proxy, chat(max_tokens=500))) == "b"
            seen = fields(known["b"].requests[0])
        assert seen["temperature"] == 0 and seen["max_tokens"] == 500
        assert "seed" not in seen and "top_p" not in seen

    async def test_what_the_fallback_cannot_take_is_left_out(self) -> None:
        """A reasoning model knows no temperature and another name of the cap."""
        models = {
            "m": model("a", fallback={"models": ["n"]}),
            "n": model({"provider": "b", "model": "o3-mini"}),
        }
        async with vendors("a", "b") as known:
            known["a"].say(status=500, body=b"{}")
            async with gateway(configured(known, models)) as proxy:
                assert served(await ask(proxy, chat(temperature=0.3, max_tokens=40))) == "b"
            first, second = fields(known["a"].requests[0]), fields(known["b"].requests[0])
        assert (first["temperature"], first["max_tokens"]) == (0.3, 40)
        assert "temperature" not in second and "max_tokens" not in second
        assert second["max_completion_tokens"] == 40
