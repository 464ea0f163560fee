"""Who is let in: the admin key, keys with the role admin, and nobody else."""

import asyncio

import pytest

from proxy.admin.doorkeeper import KeyOrRole
from proxy.base.errors import NotAuthenticated, StoreUnavailable
from proxy.core.identity import StoredKey
from proxy.stores.postgres.identity import PostgresIdentity
from tests.fakes.postgres import postgres, postgres_server, query
from tests.unit.admin.admin_port import ADMIN, admin_port, settings

__all__ = ["postgres", "postgres_server"]

KEYS = "/admin/keys"
CONFIGURED = "sk-of-the-configuration"


async def test_a_stored_key_with_the_role_admin_is_let_in(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        chief = await ask.make("chief", roles=["admin"])
        plain = await ask.make("plain")
        ask.key = plain["key"]
        assert (await ask("GET", KEYS)).error == (403, "access_denied", None)
        ask.key = chief["key"]
        made = await ask.make("made")
        entries = (await ask("GET", f"/admin/audit?id={made['id']}")).body["data"]
        assert entries[0]["actor"] == f"chief ({chief['id']})"
        assert entries[0]["address"] == "127.0.0.1"


@pytest.mark.parametrize(
    "fields",
    [{"blocked": True}, {"expires": "2020-01-01"}, {"ips": ["10.0.0.0/8", "::1"]}],
)
async def test_a_key_that_is_good_for_no_call_is_not_let_in(
    postgres: str, fields: dict[str, object]
) -> None:
    async with admin_port(postgres) as ask:
        ask.key = (await ask.make("chief", roles=["admin"], **fields))["key"]
        assert (await ask("GET", KEYS)).error == (401, "invalid_api_key", None)


async def test_a_revoked_key_is_not_let_in(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        chief = await ask.make("chief", roles=["admin"], ips=["127.0.0.1"])
        ask.key = chief["key"]
        assert (await ask("DELETE", f"{KEYS}/{chief['id']}", match="*")).status == 200
        assert (await ask("GET", KEYS)).error[0] == 401


@pytest.mark.parametrize(
    ("owner", "kind"), [("team", "teams"), ("user", "users"), ("project", "projects")]
)
async def test_a_key_whose_team_is_blocked_or_deleted_is_not_let_in(
    postgres: str, owner: str, kind: str
) -> None:
    async with admin_port(postgres) as ask:
        chief = (await ask.make("chief", roles=["admin"], **{owner: "x"}))["key"]
        other = (await ask.make("other", roles=["admin"], **{owner: "y"}))["key"]
        root = ask.key
        for method, path, body, expected in (
            ("POST", f"/admin/{kind}", {"name": "x"}, 200),
            ("PATCH", f"/admin/{kind}/x", {"blocked": True}, 401),
            ("PATCH", f"/admin/{kind}/x", {"blocked": False}, 200),
            ("DELETE", f"/admin/{kind}/x", None, 401),
            ("POST", f"/admin/{kind}", {"name": "x"}, 200),
        ):
            ask.key = root
            assert (await ask(method, path, body, match="*")).status < 300
            ask.key = chief
            assert (await ask("GET", KEYS)).status == expected, (method, body)
            ask.key = other
            assert (await ask("GET", KEYS)).status == 200


async def test_made_up_keys_never_stand_in_the_way_of_the_admin_key(postgres: str) -> None:
    held = asyncio.Event()

    class Slow(PostgresIdentity):
        asked = 0

        async def key_by_hash(self, hash: bytes) -> StoredKey | None:
            self.asked += 1
            await held.wait()
            return None

    store = Slow(lambda: postgres)
    doorkeeper = KeyOrRole(settings, store)
    spawn = asyncio.get_running_loop().create_task
    crowd = [spawn(doorkeeper.actor(f"Bearer sk-{n}", None)) for n in range(64)]
    await asyncio.sleep(0)
    assert store.asked <= 2
    with pytest.raises(StoreUnavailable):
        await doorkeeper.actor("Bearer sk-one-more", None)
    assert await doorkeeper.actor(f"Bearer {ADMIN}", None) == "admin.key"
    held.set()
    told = await asyncio.gather(*crowd, return_exceptions=True)
    assert {type(each) for each in told} == {NotAuthenticated}
    assert store.asked == 64


async def test_a_key_of_the_configuration_with_the_role_is_let_in(postgres: str) -> None:
    keys = [
        {"name": "boss", "key": CONFIGURED, "roles": ["admin"]},
        {"name": "other", "key": f"{CONFIGURED}-2"},
    ]
    async with admin_port(postgres, keys=keys) as ask:
        ask.key = CONFIGURED
        assert (await ask("POST", KEYS, {"name": "a"})).status == 201
        assert (await ask("GET", "/admin/audit")).body["data"][0]["actor"] == "boss (configuration)"
        ask.key = f"{CONFIGURED}-2"
        assert (await ask("GET", KEYS)).error[0] == 403


async def test_nobody_is_let_in_without_an_admin_key(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        ask.key = (await ask.make("chief", roles=["admin"]))["key"]
        ask.settings = settings(admin={})
        assert (await ask("GET", KEYS)).error == (403, "admin_off", None)
        assert (await ask("GET", "/healthz")).status == 200


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer é"])
async def test_what_is_no_key_is_refused(postgres: str, given: str) -> None:
    async with admin_port(postgres) as ask:
        told = await ask("GET", KEYS, headers={"authorization": given})
        assert told.error == (401, "invalid_api_key", None)
        assert "`Authorization: Bearer <key>`" in told.message
        assert told.headers["server"] == "llm-proxy"
        told = await ask("GET", "/admin/nowhere", headers={"authorization": given})
        assert told.error[0] == 401


async def test_without_a_store_the_admin_key_alone_is_let_in() -> None:
    async with admin_port(None, store="none") as ask:
        ask.key = "sk-unknown"
        assert (await ask("GET", KEYS)).error[0] == 401
    async with admin_port(None) as ask:
        ask.key = "sk-unknown"
        told = await ask("GET", KEYS)
        assert told.error == (503, "store_unavailable", None)
        assert "started" not in told.message


async def test_unknown_paths_and_methods_are_told_in_openais_shape(postgres: str) -> None:
    async with admin_port(postgres) as ask:
        assert (await ask("GET", "/admin/keyz")).error == (404, "not_found", None)
        assert (await ask("GET", "/nowhere")).error == (404, "not_found", None)
        told = await ask("PATCH", KEYS, {})
        assert told.error == (405, "method_not_allowed", None)
        assert told.headers["allow"] == "GET,HEAD,POST".replace(",", ", ")


async def test_a_bug_is_told_without_its_words(
    postgres: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with admin_port(postgres) as ask:
        await ask.make("a")
        # No JSON where there is always some.
        await query(postgres, "ALTER TABLE keys DROP COLUMN document CASCADE")
        await query(postgres, "ALTER TABLE keys ADD document text NOT NULL DEFAULT '{odd words'")
        told = await ask("GET", KEYS)
        assert told.error == (500, "internal_error", None)
        assert "odd words" not in told.text
        assert "GET /admin/keys failed" in caplog.text
