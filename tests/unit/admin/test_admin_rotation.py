"""Rotation: a new secret under the same id, the old one for a while, the same request once."""

import asyncio
import hashlib
from datetime import datetime

import pytest

from proxy.stores.postgres.identity import PostgresIdentity
from tests.fakes.postgres import postgres, postgres_server, query
from tests.unit.admin.admin_port import Port, Told, admin_port

__all__ = ["postgres", "postgres_server"]


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


async def _rotate(
    ask: Port, id_: str, idempotency: str | None = None, grace: object = "1h"
) -> Told:
    headers = {"idempotency-key": idempotency} if idempotency is not None else {}
    return await ask("POST", f"/admin/keys/{id_}/rotate", {"grace": grace}, headers=headers)


async def test_old_and_new_work_until_the_grace_ends(postgres: str) -> None:
    store = PostgresIdentity(lambda: postgres)
    async with admin_port(postgres) as ask:
        made = await ask.make("a")
        told = await _rotate(ask, made["id"])
        new = told.body["key"]
        assert (told.status, told.body["id"], told.body["version"]) == (200, made["id"], 2)
        left = datetime.fromisoformat(told.body["old_until"]) - datetime.fromisoformat(
            told.body["changed"]
        )
        assert left.total_seconds() == 3600
        for key in (made["key"], new):
            found = await store.key_by_hash(_hash(key))
            assert found is not None and found.id == made["id"]
        await query(postgres, "UPDATE keys SET old_until = now() - interval '1s'")
        assert await store.key_by_hash(_hash(made["key"])) is None
        assert await store.key_by_hash(_hash(new)) is not None


async def test_without_grace_the_old_key_ends_at_once(postgres: str) -> None:
    store = PostgresIdentity(lambda: postgres)
    async with admin_port(postgres) as ask:
        made = await ask.make("a")
        told = await _rotate(ask, made["id"], grace=0)
        assert told.body["old_until"] is None
        assert await store.key_by_hash(_hash(made["key"])) is None


async def test_the_same_request_gives_the_same_key(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        id_ = (await ask.make("a"))["id"]
        told = await asyncio.gather(*(_rotate(ask, id_, "once") for _ in range(4)))
        assert len({each.body["key"] for each in told}) == 1
        assert {each.body["version"] for each in told} == {2}
        match = {"idempotency-key": "once", "if-match": '"1"'}
        path = f"/admin/keys/{id_}/rotate"
        again = await ask("POST", path, {"grace": "60m"}, headers=match)
        assert again.body["key"] == told[0].body["key"]
        assert await query(postgres, "SELECT count(*) FROM audit WHERE action = 'rotate'") == [(1,)]
        assert (await _rotate(ask, id_, "once", "2h")).error == (
            422, "idempotency_key_reused", None,
        )  # fmt: skip
        other = await _rotate(ask, id_, "twice")
        assert other.body["key"] != told[0].body["key"]
        assert (await _rotate(ask, id_, "once")).error[:2] == (409, "rotation_done")


async def test_a_repetition_under_another_admin_key_is_refused(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        id_ = (await ask.make("a"))["id"]
        await _rotate(ask, id_, "once")
        ask.key = "another-admin-key"
        ask.settings = ask.settings.model_validate({"admin": {"key": ask.key}, "auth": "none"})
        assert (await _rotate(ask, id_, "once")).error[:2] == (409, "rotation_done")


async def test_after_a_day_the_same_request_is_a_new_one(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        id_ = (await ask.make("a"))["id"]
        first = await _rotate(ask, id_, "once")
        await query(postgres, "UPDATE key_rotations SET at = at - interval '25 hours'")
        second = await _rotate(ask, id_, "once")
        assert first.body["key"] != second.body["key"]
        assert await query(postgres, "SELECT count(*) FROM key_rotations") == [(1,)]


@pytest.mark.parametrize("grace", ["soon", -1, "400d", None, []])
async def test_a_wrong_grace_is_refused(postgres: str, grace: object) -> None:
    async with admin_port(postgres) as ask:
        id_ = (await ask.make("a"))["id"]
        assert (await _rotate(ask, id_, grace=grace)).error == (400, "invalid_value", "grace")
        told = await ask("POST", f"/admin/keys/{id_}/rotate", headers={"idempotency-key": "a b"})
        assert told.error[2] == "idempotency-key"
        told = await ask("POST", f"/admin/keys/{id_}/rotate")
        assert told.status == 200
