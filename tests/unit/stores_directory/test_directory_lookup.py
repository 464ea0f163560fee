"""How a worker asks the directory: which store it must be of, keys that look like tokens."""

from pathlib import Path

import pytest

from proxy.base.secret import fingerprint
from proxy.build.lookup import AllCallers, directory, lookup, source
from proxy.config.settings import Settings
from proxy.core.caller import Caller, ModelPatterns
from tests.unit.stores_directory.directory_cases import Control, key, working

LIKE_A_TOKEN = "imported.from.elsewhere"


class OneToken:
    """Knows the bearer of one token."""

    async def bearer(self, token: str) -> Caller | None:
        return Caller("bearer", ModelPatterns.of(("*",))) if token == "a.b.c" else None


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
        asked = AllCallers(worker.callers, tokens)
        found = await asked.bearer(LIKE_A_TOKEN)
        assert found is not None and found.name == "ada"
        assert await asked.bearer(LIKE_A_TOKEN) is found
        assert asked.known(fingerprint(LIKE_A_TOKEN)) is found
        assert await asked.find(fingerprint(LIKE_A_TOKEN)) is not None
        bearer = await asked.bearer("a.b.c")
        assert (bearer.name if bearer is not None else None) == ("bearer" if tokens else None)
        assert await asked.bearer("x.y.z") is None
    await control.close()
