"""How a worker asks the directory: which store it must be of, keys that look like tokens."""

from dataclasses import replace
from pathlib import Path

import pytest

from proxy.base.errors import AccessDenied, StoreUnavailable
from proxy.base.secret import fingerprint
from proxy.build.lookup import AllCallers, directory, lookup, source
from proxy.config.settings import Settings
from proxy.core.caller import Caller, ModelPatterns
from tests.unit.stores_directory.directory_cases import NOW, Control, key, scope, working

LIKE_A_TOKEN = "imported.from.elsewhere"
BEARER = Caller("bearer", ModelPatterns.of(("*",)), team="red")


class OneToken:
    """Knows the bearer of one token."""

    async def bearer(self, token: str) -> Caller | None:
        return BEARER if token == "a.b.c" else None


def of(store: str) -> str:
    return source(Settings.model_validate({"store": store}))


def test_a_store_is_told_by_its_place_and_not_by_who_asks() -> None:
    ours = of("postgresql://ada:secret@db.example:5432/proxy")
    assert of("postgresql://bob:other@db.example:5432/proxy?sslmode=require") == ours
    assert "secret" not in ours
    others = {
        of("postgresql://ada:secret@db.example:5432/another"),
        of("postgresql://ada:secret@other.example:5432/proxy"),
        of("postgresql://ada:secret@db.example:5433/proxy"),
        of("embedded"),
        ours,
    }
    assert len(others) == 5


def test_without_a_store_nothing_is_looked_up() -> None:
    settings = Settings.model_validate({"store": "none"})
    assert lookup(settings, lambda: None) is None
    assert directory(None, None) is None


@pytest.mark.parametrize("tokens", [OneToken(), None])
async def test_a_key_that_looks_like_a_token_is_looked_up(
    tmp_path: Path, tokens: OneToken | None
) -> None:
    control = await Control.built(tmp_path, key("ada", secret=LIKE_A_TOKEN))
    async with working(tmp_path) as worker:
        asked = AllCallers(worker.callers, tokens, worker.walls)
        found = await asked.bearer(LIKE_A_TOKEN)
        assert found is not None and found.name == "ada"
        assert await asked.bearer(LIKE_A_TOKEN) is found
        assert asked.known(fingerprint(LIKE_A_TOKEN)) is found
        assert await asked.find(fingerprint(LIKE_A_TOKEN)) is not None
        bearer = await asked.bearer("a.b.c")
        assert (bearer.name if bearer is not None else None) == ("bearer" if tokens else None)
        assert await asked.bearer("x.y.z") is None
    await control.close()


async def test_the_bearer_of_a_token_is_refused_with_its_team(tmp_path: Path) -> None:
    team = scope("team", "red")
    control = await Control.built(tmp_path, team)
    async with working(tmp_path) as worker:
        asked = AllCallers(worker.callers, OneToken(), worker.walls)
        assert await asked.bearer("a.b.c") is BEARER
        await control.change(2, replace(team, seq=2, deleted=NOW))
        await worker.callers.look()
        with pytest.raises(AccessDenied, match="team `red`"):
            await asked.bearer("a.b.c")
    await control.close()


def settings(folder: Path, **more: object) -> Settings:
    return Settings.model_validate({"data_dir": folder, **more})


@pytest.mark.parametrize(
    ("more", "served"),
    [
        ({}, True),  # Nobody can have written anything where no database was ever made.
        ({"store": "postgresql://db.example/proxy"}, False),
        ({"store": "postgresql://db.example/proxy", "store_failure": {"budgets": "allow"}}, True),
        (
            {
                "store": "postgresql://db.example/proxy",
                "store_failure": {"budgets": "local", "limits": "deny"},
            },
            False,
        ),
    ],
)
async def test_before_there_is_a_directory(
    tmp_path: Path, more: dict[str, object], served: bool
) -> None:
    found = lookup(settings(tmp_path, **more), lambda: None)
    assert found is not None
    await found.read()
    found.govern(settings(tmp_path, **more))
    callers = directory(found, None)
    assert callers is not None
    if served:
        callers.refuse_unready()
    else:
        with pytest.raises(StoreUnavailable):
            callers.refuse_unready()
    digest = fingerprint("sk-somebody-may-have-this")
    if more:
        with pytest.raises(StoreUnavailable):  # Whether there is such a key nobody can say.
            await callers.find(digest)
    else:
        assert await callers.find(digest) is None
    await found.stop()


async def test_where_a_database_was_made_its_directory_is_waited_for(tmp_path: Path) -> None:
    made = tmp_path / "postgres/data"
    made.mkdir(parents=True)
    (made / "PG_VERSION").touch()
    found = lookup(settings(tmp_path), lambda: None)
    assert found is not None
    await found.read()
    with pytest.raises(StoreUnavailable):
        found.walls.refuse_unknown()
    control = await Control.built(tmp_path)
    await found.read()
    found.walls.refuse_unknown()
    await found.stop()
    await control.close()
