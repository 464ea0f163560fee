"""`POST /admin/routing/explain`: keys of both kinds, targets as workers see them, refusals."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from proxy.admin.targets import Standing
from proxy.build.health import standings
from proxy.core.policy import Breaker
from proxy.routing.healths import Healths
from tests.fakes.postgres import postgres, postgres_server
from tests.unit.admin.admin_port import ADMIN, admin_port

__all__ = ["postgres", "postgres_server"]

PATH = "/admin/routing/explain"
CONFIG: dict[str, Any] = {
    "auth": "required",
    "keys": [{"name": "ada", "key": "sk-ada-0123456789", "tier": "gold"}],
    "providers": {"demo": {"kind": "demo"}},
    "models": {
        "chat": {
            "targets": [{"provider": "demo", "model": "a"}, {"provider": "demo", "model": "b"}]
        }
    },
    "rules": [{"name": "gold", "when": {"user_tier": ["gold"]}, "use": "chat"}],
}
REQUEST = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}


async def test_a_key_of_the_configuration_is_explained() -> None:
    async with admin_port(None, **CONFIG) as ask:
        told = await ask("POST", PATH, {"request": REQUEST, "key": "ada"})
        assert told.status == 200, told.text
        assert told.body["decision"]["rule"] == "gold"
        assert len(told.body["targets"]) == 2
        assert "sk-ada" not in told.text and ADMIN not in told.text
        document = (await ask("GET", "/admin/openapi.json")).body
        answers = document["paths"][PATH]["post"]["responses"]
        schema = answers["200"]["content"]["application/json"]["schema"]
        whole = {**schema, "components": document["components"]}
        assert list(Draft202012Validator(whole).iter_errors(told.body)) == []


async def test_a_key_of_the_store_is_explained(postgres: str) -> None:
    async with admin_port(postgres, **CONFIG) as ask:
        await ask.make("bob", tier="silver", team="web")
        told = await ask("POST", PATH, {"request": REQUEST, "key": "bob"})
        assert told.status == 200, told.text
        assert told.body["caller"]["team"] == "web"
        assert told.body["refusal"]["code"] == "model_not_found"
        told = await ask("POST", PATH, {"request": REQUEST, "key": "eve"})
        assert (told.status, told.error[2]) == (400, "key")


async def test_targets_are_as_the_workers_see_them() -> None:
    healths = Healths()
    ill = healths.of("chat", "demo", "a", Breaker(failures=1))
    ill.end("timeout", ill.begin())
    async with admin_port(None, **CONFIG) as ask:
        ask.standings = [Standing("w0", standings(healths), {})]
        told = await ask("POST", PATH, {"request": REQUEST, "key": "ada"})
        assert [each["model"] for each in told.body["targets"]] == ["b"]
        (dropped,) = told.body["dropped"]
        assert dropped["cause"] == "breaker"
        assert "timeout" in dropped["reason"]


async def test_wishes_and_paths_are_taken() -> None:
    async with admin_port(None, **CONFIG) as ask:
        asked = {"request": REQUEST, "key": "ada", "headers": {"X-LLM-Proxy-Tier": "2"}}
        told = await ask("POST", PATH, asked)
        assert {each["cause"] for each in told.body["dropped"]} == {"tier"}
        asked = {"request": {"model": "chat", "input": "a"}, "key": "ada", "path": "/v1/embeddings"}
        told = await ask("POST", PATH, asked)
        assert told.body["request"]["operation"] == "embeddings"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, (400, None, "key")),
        ({"key": "ada"}, (400, None, "request")),
        ({"request": REQUEST}, (400, None, "key")),
        ({"request": REQUEST, "key": 5}, (400, "invalid_type", "key")),
        ({"request": REQUEST, "key": "adda"}, (400, None, "key")),
        ({"request": REQUEST, "key": "ada", "headers": {"a": "\n"}}, (400, None, "headers")),
        ({"request": REQUEST, "key": "ada", "path": "/x"}, (404, "not_found", "path")),
        ({"request": REQUEST, "key": "ada", "send": True}, (400, "unknown_field", "send")),
    ],
)
async def test_what_makes_no_sense_is_refused(
    body: dict[str, object], error: tuple[int, str | None, str]
) -> None:
    async with admin_port(None, **CONFIG, store="none") as ask:
        told = await ask("POST", PATH, body)
        assert told.status == error[0]
        assert told.error[2] == (error[2] if body else "request")
        if error[1] is not None:
            assert told.error[1] == error[1]


async def test_nobody_without_the_admin_key_is_told() -> None:
    async with admin_port(None, **CONFIG) as ask:
        ask.key = "sk-ada-0123456789"
        assert (await ask("POST", PATH, {"request": REQUEST, "key": "ada"})).status in {401, 403}
