"""`/admin/teams`, `/users`, `/projects` and `/admin/budgets`, on a real PostgreSQL."""

from urllib.parse import quote

import pytest

from tests.fakes.postgres import postgres, postgres_server
from tests.unit.admin.admin_port import admin_port

__all__ = ["postgres", "postgres_server"]

BUDGETS = [{"amount": "12.5", "period": "month", "alerts": [80]}]


@pytest.mark.parametrize(
    ("collection", "kind"), [("teams", "team"), ("users", "user"), ("projects", "project")]
)
async def test_an_entry_is_made_shown_changed_and_deleted(
    postgres: str, collection: str, kind: str
) -> None:
    async with admin_port(postgres) as ask:
        path = f"/admin/{collection}"
        told = await ask("POST", path, {"name": "a/ü", "budgets": BUDGETS})
        assert told.status == 201, told.text
        assert told.body["id"] == f"{kind}:a/ü"
        one = told.headers["location"]
        assert one == f"{path}/{quote('a/ü', safe='')}"
        told = await ask("GET", one)
        assert told.body["budgets"] == BUDGETS
        told = await ask("GET", f"/admin/budgets/{quote(f'{kind}:a/ü', safe='')}")
        assert (told.status, told.etag) == (200, '"1"')
        told = await ask("PATCH", one, {"blocked": True}, match='"1"')
        assert (told.body["blocked"], told.body["budgets"]) == (True, BUDGETS)
        told = await ask("PUT", one, {"limits": {"rpm": 3}}, match='"2"')
        assert (told.body["blocked"], told.body["budgets"]) == (False, [])
        assert (await ask("DELETE", one)).error[0] == 428
        assert (await ask("DELETE", one, match='"2"')).error[0] == 412
        assert (await ask("DELETE", one, match='"3"')).status == 200
        assert (await ask("GET", one)).error == (404, "scope_not_found", None)
        assert (await ask("PATCH", one, {}, match="*")).error[0] == 404


async def test_every_kind_of_scope_has_walls(postgres: str) -> None:
    ids = ["agent:a", "customer:c", "global", "model:openai/gpt-4o", "project:p", "provider:x",
           "session:s", "tag:t", "team:*", "team:t", "user:u"]  # fmt: skip
    async with admin_port(postgres) as ask:
        for id_ in ids:
            told = await ask("POST", "/admin/budgets", {"id": id_, "budgets": BUDGETS})
            assert told.status == 201, told.text
            assert (await ask("GET", told.headers["location"])).body["id"] == id_
            told = await ask("POST", "/admin/budgets", {"id": id_})
            assert told.error == (409, "name_taken", "name")
        found, path = [], "/admin/budgets?limit=4"
        while True:
            told = await ask("GET", path)
            found += [scope["id"] for scope in told.body["data"]]
            if not told.body["has_more"]:
                break
            path = f"/admin/budgets?limit=4&cursor={told.body['next_cursor']}"
        assert sorted(found) == ids
        told = await ask("GET", "/admin/budgets?kind=team")
        assert [scope["name"] for scope in told.body["data"]] == ["*", "t"]
        told = await ask("GET", "/admin/teams")
        assert [scope["name"] for scope in told.body["data"]] == ["*", "t"]


@pytest.mark.parametrize(
    ("body", "code", "param", "words"),
    [
        ({}, "invalid_value", "id", "must be text"),
        ({"id": "teem:a"}, "unknown_scope", "id", "did you mean `team`?"),
        ({"id": "planet:a"}, "unknown_scope", "id", "there are team"),
        ({"id": "team"}, "invalid_value", "id", "must be a name"),
        ({"id": "team:" + "x" * 129}, "invalid_value", "id", "128"),
        ({"id": "team:\0"}, "invalid_value", "id", "printable"),
        ({"id": "global:a"}, "invalid_value", "id", "no name"),
        ({"id": "key:a"}, "invalid_value", "id", "/admin/keys"),
        ({"id": "key_model:a/b"}, "invalid_value", "id", "model_limits"),
        ({"id": "team:a", "limits": {"rpm": -5}}, "invalid_value", "limits.rpm", "from 0"),
        ({"id": "team:a", "budget": []}, "invalid_value", "budget", "did you mean `budgets`?"),
    ],
)
async def test_a_wrong_entry_is_refused(body: object, code: str, param: str, words: str) -> None:
    async with admin_port(None) as ask:  # Before the store is asked.
        told = await ask("POST", "/admin/budgets", body)
        assert told.error == (400, code, param)
        assert words in told.message
        for id_ in ("teem:a", "team:", "key:a", "%00"):
            assert (await ask("GET", f"/admin/budgets/{id_}")).status == 404


async def test_the_configuration_comes_first(postgres: str) -> None:
    wall = {"limits": {"rpm": 1}}
    provider = {"demo": {"kind": "demo"}}
    target = {"targets": [{"provider": "demo", "model": "x"}]}
    async with admin_port(
        postgres,
        teams={"web": wall},
        providers=provider,
        models={"open": target, "closed": {**target, **wall}},
        **{"global": wall},
    ) as ask:
        for id_ in ("team:web", "model:closed", "global"):
            told = await ask("POST", "/admin/budgets", {"id": id_, **wall})
            assert told.error[:2] == (409, "name_taken"), id_
        for id_ in ("team:other", "model:open"):
            assert (await ask("POST", "/admin/budgets", {"id": id_, **wall})).status == 201


async def test_workers_that_cannot_count_together_have_no_limits(postgres: str) -> None:
    async with admin_port(postgres, workers=2) as ask:
        told = await ask("POST", "/admin/teams", {"name": "a", "budgets": BUDGETS})
        assert told.error == (409, "redis_needed", "budgets")
        assert (await ask("POST", "/admin/teams", {"name": "a"})).status == 201
    async with admin_port(postgres, workers=2, redis="redis://127.0.0.1:6379") as ask:
        told = await ask("POST", "/admin/teams", {"name": "b", "budgets": BUDGETS})
        assert told.status == 201


async def test_budgets_that_no_record_could_restore_are_refused(postgres: str) -> None:
    silent = {"content": "none"}
    async with admin_port(postgres, telemetry=silent) as ask:
        told = await ask("POST", "/admin/budgets", {"id": "customer:a", "budgets": BUDGETS})
        assert told.error == (409, "redis_needed", "budgets")
        assert "of which customer" in told.message
        for body in ({"id": "customer:a", "limits": {"rpm": 1}}, {"id": "team:a"}):
            assert (await ask("POST", "/admin/budgets", body)).status == 201
        told = await ask("PATCH", "/admin/budgets/customer:a", {"budgets": BUDGETS}, match="*")
        assert told.error[1] == "redis_needed"
        told = await ask("PATCH", "/admin/budgets/team:a", {"budgets": BUDGETS}, match="*")
        assert told.status == 200
    async with admin_port(postgres, telemetry=silent, redis="redis://127.0.0.1:6379") as ask:
        told = await ask("POST", "/admin/budgets", {"id": "tag:a", "budgets": BUDGETS})
        assert told.status == 201
