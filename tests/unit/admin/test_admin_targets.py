"""`/admin/targets` and `/admin/providers`: what workers say, and switches, on a real PostgreSQL."""

from typing import Any

import pytest

from proxy.admin.targets import Standing
from proxy.build.health import standings, switches
from proxy.core.policy import Breaker
from proxy.core.switches import Switched, name_of, read_name, read_state
from proxy.routing.health import Name
from proxy.routing.healths import Healths
from proxy.stores.postgres.identity import PostgresIdentity
from tests.fakes.postgres import postgres, postgres_server
from tests.unit.admin.admin_port import Port, admin_port

__all__ = ["postgres", "postgres_server"]

MODELS: dict[str, Any] = {
    "chat": {"targets": [{"provider": "demo", "model": "demo-1"}]},
    "open/*": {"targets": [{"provider": "demo", "model": "*"}]},
}
PROVIDERS = {"demo": {"kind": "demo"}}
CHAT = "/admin/targets/chat/demo/demo-1"


async def target(ask: Port, route: str = "chat") -> Any:
    told = await ask("GET", "/admin/targets")
    assert told.status == 200, told.text
    (found,) = [each for each in told.body["data"] if each["route"] == route]
    return found


async def kept(address: str) -> dict[str, bytes]:
    from proxy.base.jsonio import dumps

    store = PostgresIdentity(lambda: address)
    found = await store.scopes("switch", 100, None)
    return {each.name: dumps(dict(each.document)) for each in found}


async def actions(ask: Port) -> list[str]:
    told = await ask("GET", "/admin/audit")
    return [entry["action"] for entry in told.body["data"]]


async def test_a_target_is_as_bad_as_its_worst_worker() -> None:
    good, bad = Healths(), Healths()
    settings = Breaker(failures=1)
    began = (well := good.of("chat", "demo", "demo-1", settings)).begin()
    well.first_token(0.25, began)
    well.end(None, began)
    _ = well.begin()
    ill = bad.of("chat", "demo", "demo-1", settings)
    ill.end("timeout", ill.begin())
    said = [Standing("w0", standings(good), {"demo": 0}), Standing("w1", standings(bad), {})]
    async with admin_port(None, providers=PROVIDERS, models=MODELS) as ask:
        ask.standings = said
        found = await target(ask)
        assert (found["status"], found["fault"], found["in_flight"]) == ("open", "timeout", 1)
        assert (found["availability"], found["latency"]) == (0.0, 0.25)
        assert found["workers"] == {"w0": "closed", "w1": "open"}
        assert "breaker is open" in found["why"]
        assert found["fault_at"].endswith("Z")
        assert (await target(ask, "open/*"))["status"] == "unknown"
        told = await ask("GET", "/admin/providers")
        assert told.body["data"] == [
            {"object": "provider", "name": "demo", "kind": "demo", "off": None, "keys": 0,
             "keys_resting": 0}
        ]  # fmt: skip


async def test_a_switch_is_kept_once_and_audited(postgres: str) -> None:
    async with admin_port(postgres, providers=PROVIDERS, models=MODELS) as ask:
        for _ in range(2):
            told = await ask("POST", f"{CHAT}/open")
            assert (told.status, told.body["state"]) == (200, "open")
        name = Name("chat", "demo", "demo-1")
        assert switches(await kept(postgres)).targets == {name: "open"}
        assert (await ask("POST", f"{CHAT}/close", {})).status == 200
        assert switches(await kept(postgres)).targets == {name: "closed"}
        assert (await ask("POST", f"{CHAT}/auto")).body["state"] is None
        assert (await ask("POST", f"{CHAT}/auto")).status == 200
        assert switches(await kept(postgres)).targets == {}
        assert await actions(ask) == ["auto", "close", "open"]
        assert (await ask("GET", "/admin/audit/verify")).body["valid"]
        assert (await ask("GET", "/admin/budgets")).body["data"] == []


async def test_a_provider_is_disabled_and_enabled(postgres: str) -> None:
    async with admin_port(postgres, providers=PROVIDERS, models=MODELS) as ask:
        assert (await ask("POST", "/admin/providers/demo/disable")).body["state"] == "disabled"
        assert set(switches(await kept(postgres)).providers) == {"demo"}
        assert (await ask("POST", "/admin/providers/demo/enable")).body["state"] is None
        assert switches(await kept(postgres)).providers == {}


async def test_patterns_are_named_as_they_are_written(postgres: str) -> None:
    async with admin_port(postgres, providers=PROVIDERS, models=MODELS) as ask:
        told = await ask("POST", "/admin/targets/open%2F*/demo/*/open")
        assert told.status == 200, told.text
        assert switches(await kept(postgres)).targets == {Name("open/*", "demo", "*"): "open"}


@pytest.mark.parametrize(
    ("path", "code", "hint"),
    [
        ("targets/chatt/demo/demo-1/open", "model_not_found", "`chat`"),
        ("targets/chat/demo/demo-2/open", "target_not_found", "`demo/demo-1`"),
        ("providers/demmo/disable", "provider_not_found", "`demo`"),
    ],
)
async def test_what_is_not_configured_cannot_be_switched(path: str, code: str, hint: str) -> None:
    async with admin_port(None, providers=PROVIDERS, models=MODELS) as ask:
        told = await ask("POST", f"/admin/{path}")
        assert told.error == (404, code, None)
        assert hint in told.message


async def test_switches_need_a_store() -> None:
    async with admin_port(None, providers=PROVIDERS, models=MODELS) as ask:
        assert (await ask("POST", f"{CHAT}/open")).error[:2] == (503, "store_unavailable")
        assert (await ask("POST", f"{CHAT}/open", {"for": "1h"})).error == (
            400, "unknown_field", "for"
        )  # fmt: skip


@pytest.mark.parametrize("what", [Switched("p"), Switched("p/ü", "m*", 'a"b')])
def test_names_are_read_as_they_are_written(what: Switched) -> None:
    assert read_name(name_of(what)) == what


@pytest.mark.parametrize("name", ["", "x", "[]", '["a","b"]', "[1]", '{"a":1}'])
def test_other_names_and_states_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="it "):
        _ = read_name(name)
    with pytest.raises(ValueError, match="it "):
        _ = read_state(name.encode())
    assert switches({name: b'{"state":"open"}', '["p"]': b"{}"}) == ({}, {})
