"""The audit log: each change has one entry, and a log that was touched is found out."""

import asyncio
import hashlib

import asyncpg
import pytest

from proxy.base.jsonio import dumps
from tests.fakes.postgres import postgres, postgres_server, query
from tests.unit.admin.admin_port import ADMIN, Port, admin_port

__all__ = ["postgres", "postgres_server"]


async def _some_changes(ask: Port) -> str:
    made = await ask.make("a", team="t", models=["gpt-*"], metadata={"z": "ü\n", "b": "1"})
    one = f"/admin/keys/{made['id']}"
    budget = {"amount": 0.1, "period": "day", "rollover": {"fraction": 0.3}}
    await ask("PATCH", one, {"budgets": [budget]}, match="*")
    await ask("POST", f"{one}/rotate", {"grace": "1h"})
    await ask("POST", f"{one}/block")
    await ask("POST", "/admin/teams", {"name": "t", "limits": {"rpm": 5}})
    await ask("DELETE", one, match="*")
    return str(made["id"])


async def test_each_change_has_one_entry(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        id_ = await _some_changes(ask)
        refused = await ask("POST", "/admin/keys", {"name": "b", "limits": {"rpm": -1}})
        assert refused.status == 400
        told = await ask("GET", "/admin/audit?limit=4")
        first = told.body["data"]
        told = await ask("GET", f"/admin/audit?limit=4&cursor={told.body['next_cursor']}")
        entries = first + told.body["data"]
        assert [entry["seq"] for entry in entries] == [6, 5, 4, 3, 2, 1]
        assert [entry["action"] for entry in reversed(entries)] == [
            "create", "update", "rotate", "block", "create", "delete",
        ]  # fmt: skip
        assert {(entry["actor"], entry["address"]) for entry in entries} == {
            ("admin.key", "127.0.0.1")
        }
        made, changed, rotated = entries[5], entries[4], entries[3]
        assert (made["before"], made["after"]["team"]) == (None, "t")
        assert changed["before"] == made["after"]
        assert changed["after"]["budgets"][0]["amount"] == "0.1"
        assert rotated["after"]["hash_prefix"] != rotated["before"]["hash_prefix"]
        about = (await ask("GET", f"/admin/audit?id={id_}")).body["data"]
        assert [entry["seq"] for entry in about] == [6, 4, 3, 2, 1]
        assert (await ask("GET", "/admin/audit?id=team:t")).body["data"][0]["kind"] == "team"


async def test_an_auditor_can_follow_the_chain(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        await _some_changes(ask)
        entries = (await ask("GET", "/admin/audit")).body["data"][::-1]
        previous = "00" * 32
        for entry in entries:
            assert entry["previous"] == previous
            told = {k: v for k, v in entry.items() if k not in {"object", "hash"}}
            previous = hashlib.sha256(dumps(_sorted(told))).hexdigest()
            assert entry["hash"] == previous
        told_verdict = await ask("GET", "/admin/audit/verify")
        assert told_verdict.body == {
            "object": "audit_verdict", "valid": True, "entries": 6, "seq": 6, "hash": previous,
            "broken": None, "reason": None,
        }  # fmt: skip


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("statement", "broken", "words"),
    [
        ("UPDATE audit SET actor = 'x' WHERE seq = 3", 3, "not what was written"),
        ("UPDATE audit SET after = '{}' WHERE seq = 1", 1, "not what was written"),
        ("UPDATE audit SET hash = sha256('x') WHERE seq = 3", 3, "not what was written"),
        ("DELETE FROM audit WHERE seq = 4", 4, "missing"),
        ("DELETE FROM audit WHERE seq > 4", 5, "missing"),
        ("DELETE FROM audit WHERE seq = 1", 1, "missing"),
        ("DELETE FROM audit", 1, "missing"),
    ],
)
async def test_a_log_that_was_touched_is_found_out(
    postgres: str, statement: str, broken: int, words: str
) -> None:
    async with admin_port(postgres) as ask:
        await _some_changes(ask)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await query(postgres, statement)
        await query(postgres, "ALTER TABLE audit DISABLE TRIGGER audit_append_only")
        await query(postgres, statement)
        told = await ask("GET", "/admin/audit/verify")
        assert (told.body["valid"], told.body["broken"]) == (False, broken)
        assert words in told.body["reason"]


async def test_changes_of_several_hosts_make_one_chain(postgres: str) -> None:
    async with admin_port(postgres) as one, admin_port(postgres) as other:
        told = await asyncio.gather(
            *(
                ask("POST", "/admin/keys", {"name": f"k{n}"})
                for n in range(8)
                for ask in (one, other)
            )
        )
        assert sorted(each.status for each in told) == [201] * 8 + [409] * 8
        verdict = (await one("GET", "/admin/audit/verify")).body
        assert (verdict["valid"], verdict["entries"]) == (True, 8)


async def test_truncating_is_refused_too(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        await _some_changes(ask)
        assert ask.key == ADMIN
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await query(postgres, "TRUNCATE audit")
