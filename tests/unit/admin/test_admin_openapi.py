"""The OpenAPI document is valid, describes every route, and what is answered is what it says."""

import re
from typing import Any

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from proxy.admin.usage import USAGE_PARAMETERS
from tests.fakes.postgres import postgres, postgres_server
from tests.unit.admin.admin_port import Port, Told, admin_port

__all__ = ["postgres", "postgres_server"]


async def _document(ask: Port) -> Any:
    told = await ask("GET", "/admin/openapi.json")
    assert told.status == 200
    return told.body


async def test_the_document_is_valid_and_has_every_route() -> None:
    async with admin_port(None) as ask:
        document = await _document(ask)
        validate(document)
        described = {
            (method.upper(), path) for path, each in document["paths"].items() for method in each
        }
        assert described == {(endpoint.method, endpoint.path) for endpoint in ask.endpoints}
        assert described == ask.served
        for method, path in described:
            operation = document["paths"][path][method.lower()]
            names = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert names == set(re.findall(r"{(\w+)}", path))
            assert operation["summary"].endswith(".")
        assert len({endpoint.name for endpoint in ask.endpoints}) == len(ask.endpoints)


async def test_parameters_of_the_report_are_all_described() -> None:
    async with admin_port(None) as ask:
        told = await ask("GET", "/admin/usage?nothing=1")
        known = re.search(r"there are (.*)", told.message)
        assert known is not None
        assert known[1].split(", ") == [each.name for each in USAGE_PARAMETERS]


async def test_what_is_answered_is_what_the_document_says(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        document = await _document(ask)

        def agrees(told: Told, method: str, path: str) -> None:
            answers = document["paths"][path][method]["responses"]
            schema = answers[str(told.status)]["content"]["application/json"]["schema"]
            whole = {**schema, "components": document["components"]}
            errors = list(Draft202012Validator(whole).iter_errors(told.body))
            assert errors == [], (method, path, errors)

        body = {"name": "a", "limits": {"rpm": 1}, "budgets": [{"amount": 1, "period": "day"}]}
        made = await ask("POST", "/admin/keys", body)
        agrees(made, "post", "/admin/keys")
        agrees(await ask("POST", "/admin/keys", body), "post", "/admin/keys")
        agrees(await ask("POST", "/admin/keys", {}), "post", "/admin/keys")
        agrees(await ask("GET", "/admin/keys"), "get", "/admin/keys")
        one = f"/admin/keys/{made.body['id']}"
        agrees(await ask("GET", one), "get", "/admin/keys/{id}")
        agrees(await ask("PATCH", one, {}), "patch", "/admin/keys/{id}")
        agrees(await ask("PATCH", one, {}, match='"9"'), "patch", "/admin/keys/{id}")
        agrees(await ask("POST", f"{one}/rotate"), "post", "/admin/keys/{id}/rotate")
        agrees(await ask("GET", f"{one}/usage"), "get", "/admin/keys/{id}/usage")
        agrees(await ask("POST", "/admin/teams", {"name": "t"}), "post", "/admin/teams")
        agrees(await ask("GET", "/admin/budgets/team:t"), "get", "/admin/budgets/{id}")
        agrees(await ask("GET", "/admin/budgets"), "get", "/admin/budgets")
        agrees(await ask("GET", "/admin/audit"), "get", "/admin/audit")
        agrees(await ask("GET", "/admin/audit/verify"), "get", "/admin/audit/verify")
        agrees(await ask("DELETE", one, match="*"), "delete", "/admin/keys/{id}")
        ask.key = "wrong"
        agrees(await ask("GET", "/admin/keys"), "get", "/admin/keys")
