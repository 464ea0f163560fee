"""`/admin/keys` as it is used: over HTTP, on a real PostgreSQL."""

import asyncio
import hashlib
from typing import Any

import pytest

from proxy.base.jsonio import dumps
from tests.fakes.postgres import postgres, postgres_server, query
from tests.unit.admin.admin_port import ADMIN, admin_port

__all__ = ["postgres", "postgres_server"]

KEYS = "/admin/keys"


async def test_a_key_is_made_shown_changed_and_deleted(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        told = await ask("POST", KEYS, {"name": "search", "team": "web", "limits": {"rpm": 5}})
        assert told.status == 201
        made = told.body
        assert made["key"].startswith("sk-") and len(made["key"]) == 46
        assert told.headers["Location"] == f"{KEYS}/{made['id']}"
        assert told.headers["Cache-Control"] == "no-store"
        hash_ = hashlib.sha256(made["key"].encode()).digest()
        assert await query(postgres, "SELECT hash FROM keys") == [(hash_,)]
        one = f"{KEYS}/{made['id']}"
        told = await ask("GET", one)
        assert (told.status, told.etag, told.body["limits"]) == (200, '"1"', {"rpm": 5})
        assert made["key"] not in told.text and hash_.hex() not in told.text
        told = await ask("PATCH", one, {"limits": {"tpm": 9}, "team": None}, match=told.etag)
        assert told.body["limits"] == {"rpm": 5, "tpm": 9}
        assert (told.body["team"], told.body["version"]) == (None, 2)
        told = await ask("PUT", one, {"tags": ["a"]}, match='"2"')
        assert (told.body["tags"], told.body["limits"]["rpm"]) == (["a"], None)
        assert told.body["name"] == "search"
        told = await ask("DELETE", one, match='"3"')
        assert told.body["deleted"] is not None
        assert (await ask("GET", one)).error == (404, "key_not_found", None)
        assert (await ask("DELETE", one, match="*")).error[0] == 404
        assert (await ask("GET", KEYS)).body["data"] == []
        told = await ask("GET", f"{KEYS}?deleted=true")
        assert [key["id"] for key in told.body["data"]] == [made["id"]]
        again = await ask.make("search")  # The name is free again; the key is another.
        assert again["id"] != made["id"]


async def test_a_change_says_of_which_version_it_is(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        one = f"{KEYS}/{(await ask.make('a'))['id']}"
        for method in ("PATCH", "PUT", "DELETE"):
            told = await ask(method, one, {})
            assert told.error == (428, "precondition_required", "if-match")
        told = await ask("PATCH", one, {"team": "x"}, match='"7", "9"')
        assert told.error == (412, "version_differs", "if-match")
        assert (await ask("PATCH", one, {}, match='W/"1"')).error[0] == 412
        assert (await ask("PATCH", one, {}, match="1")).error[0] == 400
        assert (await ask("POST", f"{one}/block", match='"2"')).error[0] == 412
        told = await ask("PATCH", one, {"team": "x"}, match='"7", "1"')
        assert told.body["version"] == 2
        assert (await ask("PATCH", one, {"team": "y"}, match="*")).body["version"] == 3


async def test_of_two_changes_of_one_version_one_is_made(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        one = f"{KEYS}/{(await ask.make('a'))['id']}"
        told = await asyncio.gather(
            *(ask("PATCH", one, {"team": f"t{n}"}, match='"1"') for n in range(6))
        )
        assert sorted(each.status for each in told) == [200, *[412] * 5]
        assert (await ask("GET", one)).body["version"] == 2


async def test_names_are_unique_among_the_living(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        told = await asyncio.gather(*(ask("POST", KEYS, {"name": "a"}) for _ in range(4)))
        assert sorted(each.status for each in told) == [201, 409, 409, 409]
        refused = next(each for each in told if each.status == 409)
        assert refused.error == (409, "name_taken", "name")
        one = f"{KEYS}/{(await ask('GET', KEYS)).body['data'][0]['id']}"
        told_name = await ask("PATCH", one, {"name": "b"}, match="*")
        assert told_name.error == (400, "immutable", "name")


@pytest.mark.parametrize("by", ["key", "hash"])
async def test_a_key_that_exists_is_taken_over(postgres: str, by: str) -> None:
    key = "sk-1234567890abcdef-of-another-gateway"
    hash_ = hashlib.sha256(key.encode()).hexdigest()
    value = key if by == "key" else hash_.upper()
    async with admin_port(postgres) as ask:
        told = await ask("POST", KEYS, {"name": "a", by: value})
        assert told.status == 201
        assert "key" not in told.body and key not in told.text
        assert await query(postgres, "SELECT encode(hash, 'hex') FROM keys") == [(hash_,)]
        told = await ask("POST", KEYS, {"name": "b", "hash": hash_})
        assert told.error[:2] == (409, "key_known")
        told = await ask("POST", KEYS, {"name": "b", "key": ADMIN})
        assert told.error[:2] == (409, "key_known")


WRONG: list[tuple[Any, int, str, str]] = [
    ({}, 400, "name", "is missing"),
    ({"name": ""}, 400, "name", "must be text"),
    ({"name": 7}, 400, "name", "must be text"),
    ({"name": "a", "temas": "x"}, 400, "temas", "did you mean `team`?"),
    ({"name": "a", "limits": {"rpm": -1}}, 400, "limits.rpm", "from 0 to"),
    ({"name": "a/b"}, 400, "name", "must have no `/`"),
    ({"name": "a", "limits": {"rpm": 10**13}}, 400, "limits.rpm", "from 0 to"),
    ({"name": "a", "limits": {"rpm": 1e30}}, 400, "limits.rpm", "whole number"),
    ({"name": "a", "limits": {"rpm": "5"}}, 400, "limits.rpm", "whole number"),
    ({"name": "a", "limits": {"rps": 5}}, 400, "limits.rps", "did you mean"),
    ({"name": "a", "budgets": {}}, 400, "budgets", "must be an array"),
    (
        {"name": "a", "budgets": [{"amount": -1, "period": "day"}]},
        400, "budgets[0].amount", "must be a price",
    ),
    (
        {"name": "a", "budgets": [{"amount": 1, "period": "year"}]},
        400, "budgets[0].period", "day, week, month or total",
    ),
    ({"name": "a", "expires": "soon"}, 400, "expires", "must be a date"),
    ({"name": "a", "ips": ["10.0.0.0/99"]}, 400, "ips[0]", "network"),
    ({"name": "a", "models": ["**"]}, 400, "models[0]", "one `*` at most"),
    ({"name": "a", "operations": ["chats"]}, 400, "operations[0]", "must be an operation"),
    ({"name": "a", "metadata": {"x": "\0"}}, 400, "metadata", "NUL"),
    ({"name": "a", "key": "short"}, 400, "key", "16 to 256"),
    ({"name": "a", "hash": "00"}, 400, "hash", "64 hexadecimal"),
    ({"name": "a", "key": "x" * 20, "hash": "00" * 32}, 400, "hash", "not both"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "param", "words"), WRONG)
async def test_a_wrong_document_is_refused_by_path(
    body: object, status: int, param: str, words: str
) -> None:
    async with admin_port(None) as ask:  # Before the store is asked.
        told = await ask("POST", KEYS, body)
        assert (told.status, told.body["error"]["param"]) == (status, param), told.text
        assert words in told.message


async def test_what_is_no_json_object_is_refused(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        for data in (b"", b"{", b"[]", b'"x"', b"\xff", b'{"a":' * 2000):
            told = await ask("POST", KEYS, data=data)
            assert told.error[:2] == (400, "invalid_json"), data[:9]
        told = await ask("POST", KEYS, data=b"{}", headers={"content-type": "text/plain"})
        assert told.error == (415, "unsupported_media_type", "content-type")
        told = await ask("POST", KEYS, {"name": "x" * 70_000})
        assert told.error[:2] == (413, "request_too_large")
        one = f"{KEYS}/{(await ask.make('a'))['id']}"
        deep: object = "x"
        for _ in range(40):
            deep = {"limits": deep}
        assert (await ask("PATCH", one, deep, match="*")).error[0] == 400
        merge = {"content-type": "application/merge-patch+json"}
        assert (await ask("PATCH", one, {}, match="*", headers=merge)).status == 200


async def test_a_list_is_read_in_pages(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        made = [(await ask.make(f"k{n}", team=f"t{n % 2}"))["id"] for n in range(7)]
        assert made == sorted(made)
        found, path = [], f"{KEYS}?limit=3"
        while True:
            told = await ask("GET", path)
            found += [key["id"] for key in told.body["data"]]
            if not told.body["has_more"]:
                break
            path = f"{KEYS}?limit=3&cursor={told.body['next_cursor']}"
        assert found == made
        told = await ask("GET", f"{KEYS}?team=t1&limit=2")
        assert [key["name"] for key in told.body["data"]] == ["k1", "k3"]
        told = await ask("GET", f"{KEYS}?team=t1&limit=2&cursor={told.body['next_cursor']}")
        assert [key["name"] for key in told.body["data"]] == ["k5"]
        told = await ask("GET", f"{KEYS}?name=k4")
        assert [key["id"] for key in told.body["data"]] == [made[4]]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("limt=3", "limt"),
        ("cursor=x", "cursor"), ("cursor=WyJhdWRpdCIsMV0", "cursor"), ("deleted=1", "deleted"),
        ("team=a&team=b", "team"), ("team=%00", "team"),
        ("cursor=WyJrZXlzIiwiXHUwMDAwIl0", "cursor"),
    ],
)  # fmt: skip
async def test_a_wrong_question_is_refused_by_name(asked: str, param: str) -> None:
    async with admin_port(None) as ask:
        told = await ask("GET", f"{KEYS}?{asked}")
        assert told.error == (400, "invalid_parameter", param)


@pytest.mark.parametrize("id_", ["x", "key_x", "%00", "key_" + "U" * 26, "..%2f", "%ff"])
async def test_an_id_that_cannot_be_is_a_404(id_: str) -> None:
    async with admin_port(None) as ask:
        assert (await ask("GET", f"{KEYS}/{id_}")).status == 404


async def test_a_key_is_blocked_and_unblocked(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        one = f"{KEYS}/{(await ask.make('a'))['id']}"
        assert (await ask("POST", f"{one}/block")).body["blocked"] is True
        assert (await ask("POST", f"{one}/block")).body["version"] == 2
        told = await ask("POST", f"{one}/unblock", {})
        assert (told.body["blocked"], told.body["version"]) == (False, 3)
        assert (await ask("POST", f"{one}/unblock", {"x": 1})).error == (400, "unknown_field", "x")


async def test_a_key_of_a_deleted_team_is_refused(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        await ask("POST", "/admin/teams", {"name": "web"})
        member = await ask.make("member", team="web")
        await ask("DELETE", "/admin/teams/web", match="*")
        told = await ask("POST", KEYS, {"name": "a", "team": "web"})
        assert told.error == (409, "owner_deleted", "team")
        one = f"{KEYS}/{member['id']}"
        assert (await ask("PATCH", one, {"tier": "x"}, match="*")).status == 200
        other = f"{KEYS}/{(await ask.make('other'))['id']}"
        assert (await ask("PATCH", other, {"team": "web"}, match="*")).error[0] == 409
        assert (await ask("POST", "/admin/teams", {"name": "web"})).body["version"] == 3
        assert (await ask.make("a", team="web"))["team"] == "web"


async def test_the_configuration_comes_first(postgres: str) -> None:
    key = "sk-configured-1234567890"
    async with admin_port(postgres, keys=[{"name": "mine", "key": key}]) as ask:
        told = await ask("POST", KEYS, {"name": "mine"})
        assert told.error == (409, "name_taken", "name")
        told = await ask("POST", KEYS, {"name": "a", "key": key})
        assert told.error == (409, "key_known", "key")
        assert key not in told.text


@pytest.mark.parametrize(
    "fields",
    [
        {"limits": {"rpm": 1}},
        {"budgets": [{"amount": 1, "period": "day"}]},
        {"model_limits": {"gpt-*": {"limits": {"tpm": 1}}}},
    ],
)
async def test_workers_that_cannot_count_together_have_no_limits(
    postgres: str, fields: dict[str, object]
) -> None:
    async with admin_port(postgres, workers=2) as ask:
        told = await ask("POST", KEYS, {"name": "a", **fields})
        assert told.error[:2] == (409, "redis_needed")
        one = f"{KEYS}/{(await ask.make('a', team='x'))['id']}"
        assert (await ask("PATCH", one, fields, match="*")).error[:2] == (409, "redis_needed")
        assert (await ask("PUT", one, fields, match="*")).error[:2] == (409, "redis_needed")
        ask.settings = ask.settings.model_copy(update={"workers": 1})
        assert (await ask("PATCH", one, fields, match="*")).status == 200


async def test_a_store_that_is_away_is_a_503_and_none_a_409() -> None:
    for address in (None, "postgresql://u:hidden-password@127.0.0.1:1/db?sslmode=disable"):
        async with admin_port(address) as ask:
            told = await ask("POST", KEYS, {"name": "a"})
            assert told.error[:2] == (503, "store_unavailable")
            assert told.headers["Retry-After"] == "5"
            assert "hidden-password" not in told.text
    async with admin_port(None, store="none") as ask:
        for method, path in (("GET", KEYS), ("POST", KEYS), ("GET", "/admin/audit")):
            told = await ask(method, path, {"name": "a"} if method == "POST" else None)
            assert told.error[:2] == (409, "no_store")


async def test_usage_of_a_key(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        one = f"{KEYS}/{(await ask.make('a'))['id']}"
        told = await ask("GET", f"{one}/usage?by=model&since=1d")
        assert told.status == 200
        assert told.body["where"] == {"key": ["a"]}
        told = await ask("GET", f"{one}/usage?where=key=b")
        assert told.error == (400, "invalid_parameter", "where")
        await ask("DELETE", one, match="*")
        assert (await ask("GET", f"{one}/usage")).status == 200


async def test_a_hundred_thousand_keys_are_listed_by_index(postgres: str) -> None:
    await query(
        postgres,
        """
        INSERT INTO keys (id, hash, document, version, seq, created, changed)
        SELECT 'key_' || lpad(n::text, 26, '0'), sha256(n::text::bytea),
            jsonb_build_object('name', 'k' || n, 'team', 't' || n % 1000), 1, 0, now(), now()
        FROM generate_series(1, 100000) n
        """,
    )
    await query(postgres, "ANALYZE keys")
    for condition in ("id > 'key_00000000000000000000050000'", "team = 't7' AND id > ''"):
        plan = await query(
            postgres,
            "EXPLAIN SELECT id FROM keys WHERE deleted IS NULL AND "
            f"{condition} ORDER BY id LIMIT 101",
        )
        words = "\n".join(row[0] for row in plan)
        assert "Index" in words and "Seq Scan" not in words, words
    async with admin_port(postgres) as ask:
        told = await ask("GET", f"{KEYS}?team=t7&limit=1000")
        assert len(told.body["data"]) == 100


async def test_nothing_told_or_kept_has_a_key(
    postgres: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with admin_port(postgres) as ask:
        made = await ask.make("a")
        rotated = await ask("POST", f"{KEYS}/{made['id']}/rotate", {})
        imported = "sk-imported-1234567890"
        await ask("POST", KEYS, {"name": "a", "key": imported})
        log = (await ask("GET", "/admin/audit")).text
    rows = dumps([str(row) for row in await query(postgres, "SELECT * FROM keys, audit")]).decode()
    for key in (made["key"], rotated.body["key"], imported, ADMIN):
        hash_ = hashlib.sha256(key.encode()).hexdigest()
        for text in (log, rows, caplog.text):
            assert key not in text
        assert hash_ not in log
