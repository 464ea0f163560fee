"""What the store says of scopes, together with what the configuration says of them."""

import pytest

from proxy.base.errors import AccessDenied, StoreUnavailable
from proxy.base.jsonio import dumps
from proxy.build.lookup import configured
from proxy.build.walls import rulebook
from proxy.config.settings import Settings
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.quota import Scope, ScopeKind, Walls
from proxy.core.target import Target
from proxy.limits.bundles import Bundles
from proxy.stores.directory.reader import ScopeRow
from proxy.stores.directory.walls import Around, StoredWalls
from proxy.stores.directory.walls import named as scopes_of
from proxy.stores.memory.store import MemoryQuotas
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import provider, simple
from tests.fakes.wire import FakeTransport
from tests.unit.stores_directory.directory_cases import around

RED = Scope("team", "red")


def row(deleted: bool = False, **document: object) -> ScopeRow:
    return ScopeRow(dumps(document), deleted)


def stored(*rows: tuple[ScopeKind, str, ScopeRow]) -> StoredWalls:
    walls = StoredWalls(around)
    walls.replace({Scope(kind, name): each for kind, name, each in rows})
    return walls


def rpm(walls: Walls | None) -> int | None:
    return walls.rates[0].limit if walls else None


def settings(**sections: object) -> Settings:
    return Settings.model_validate({"store": "none", **sections})


def test_a_scope_nobody_wrote_of_has_no_walls() -> None:
    assert stored(("team", "red", row(rpm=5))).walls(Scope("team", "blue")) is None


def test_a_document_is_read_once() -> None:
    read: list[Scope] = []

    def make(scope: Scope, document: bytes) -> Around:
        read.append(scope)
        return around(scope, document)

    walls = StoredWalls(make)
    walls.replace({RED: row(rpm=5)})
    assert read == []
    assert [rpm(walls.walls(RED)) for _ in range(3)] == [5, 5, 5]
    assert read == [RED]
    walls.change({RED: row(rpm=6)})
    assert rpm(walls.walls(RED)) == 6
    walls.change({RED: None})
    assert walls.walls(RED) is None


def test_one_that_is_blocked_is_refused_by_name() -> None:
    with pytest.raises(AccessDenied, match="team `red` is blocked") as refused:
        stored(("team", "red", row(blocked=True))).walls(RED)
    assert refused.value.status == 403


def test_one_that_is_not_understood_is_no_open_door() -> None:
    walls = stored(("team", "red", row(unheard_of=True)))
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            walls.walls(RED)


def test_one_that_is_not_understood_is_found_ahead_without_harm() -> None:
    walls = stored()
    walls.ahead({RED: row(zone="UTC"), Scope("tag", "x"): None})
    assert walls.walls(RED) is None


@pytest.mark.parametrize("kind", ["team", "user", "project"])
def test_a_caller_of_a_deleted_scope_is_told_which(kind: ScopeKind) -> None:
    walls = stored((kind, "x", row(deleted=True, rpm=1)))
    anyone = Caller("bob", ModelPatterns.of(("*",)))
    named = Caller("ada", ModelPatterns.of(("*",)), team="x", user="x", project="x")
    with pytest.raises(AccessDenied, match=f"{kind} `x` that this caller belongs to was deleted"):
        walls.refuse_deleted(scopes_of(named))
    walls.refuse_deleted(scopes_of(anyone))
    with pytest.raises(AccessDenied, match=f"{kind} `x`"):  # Keys of the configuration too.
        walls.walls(Scope(kind, "x"))


def test_what_the_configuration_names_was_not_deleted() -> None:
    walls = stored(("team", "red", row(deleted=True)), ("user", "ada", row(deleted=True)))
    walls.govern(configured(settings(teams={"red": {}, "*": {}})), strict=True)
    walls.refuse_deleted((RED,))
    assert walls.walls(RED) is None
    with pytest.raises(AccessDenied, match="user `ada`"):
        walls.refuse_deleted((RED, Scope("user", "ada")))


def test_before_anything_is_known_every_scope_may_have_walls() -> None:
    walls = StoredWalls(around)
    book = rulebook(settings(teams={"red": {"limits": {"rpm": 1}}}), walls)
    for scope in (RED, Scope("team", "blue"), Scope("global", "")):
        with pytest.raises(StoreUnavailable, match="not known yet") as refused:
            book.walls(scope)
        assert (b"retry-after", b"1") in refused.value.headers
        assert "`store_failure` with no `deny`" in refused.value.message
    assert "not known yet" in (walls.why_not() or "")
    walls.govern(frozenset(), strict=False)
    assert walls.why_not() is None
    assert rpm(book.walls(RED)) == 1
    assert book.walls(Scope("global", "")) is None
    walls.govern(frozenset(), strict=True)
    walls.replace({})
    assert book.walls(Scope("team", "blue")) is None
    walls.refuse_unknown()


def test_what_the_configuration_names_comes_first() -> None:
    book = rulebook(
        settings(teams={"red": {"limits": {"rpm": 1}}}),
        stored(("team", "red", row(rpm=2)), ("team", "blue", row(rpm=3))),
    )
    assert rpm(book.walls(RED)) == 1
    assert rpm(book.walls(Scope("team", "blue"))) == 3


def test_a_name_in_the_store_comes_before_a_star_of_the_configuration() -> None:
    book = rulebook(
        settings(teams={"*": {"limits": {"rpm": 1}}}),
        stored(("team", "red", row(rpm=2)), ("team", "*", row(rpm=3))),
    )
    assert rpm(book.walls(RED)) == 2
    assert rpm(book.walls(Scope("team", "blue"))) == 1


def test_a_star_of_the_store_gives_each_its_own_count() -> None:
    book = rulebook(settings(), stored(("customer", "*", row(rpm=4))))
    found = book.walls(Scope("customer", "c1"))
    assert found is not None
    assert found.rates[0].scope == Scope("customer", "c1")
    assert book.walls(Scope("team", "t")) is None


def test_walls_around_all_come_from_the_store_where_the_configuration_has_none() -> None:
    everyone = Scope("global", "")
    kept = stored(("global", "", row(rpm=9)))
    assert rpm(rulebook(settings(), kept).walls(everyone)) == 9
    written = settings(**{"global": {"limits": {"rpm": 2}}})
    assert rpm(rulebook(written, kept).walls(everyone)) == 2


def test_what_is_blocked_in_the_store_is_so_whoever_wrote_its_walls() -> None:
    book = rulebook(
        settings(teams={"red": {"limits": {"rpm": 1}}}), stored(("team", "red", row(blocked=True)))
    )
    with pytest.raises(AccessDenied):
        book.walls(RED)


def test_without_a_store_the_configuration_is_all() -> None:
    book = rulebook(settings(teams={"red": {"limits": {"rpm": 1}}}))
    assert rpm(book.walls(RED)) == 1
    assert book.walls(Scope("team", "blue")) is None


def test_models_and_providers_may_have_their_walls_in_the_store() -> None:
    rows = [row(rpm=7), row(rpm=8), row(blocked=True)]
    kept = stored(
        ("model", "m", rows[0]), ("provider", "p", rows[1]), ("provider", "closed", rows[2])
    )
    bundles = Bundles(MemoryQuotas(), rulebook(settings(), kept))
    transport = FakeTransport()
    x = simple(transport, FakeIncoming())
    x.route = x.runtime.catalogue.route("m")
    bundle = bundles.of(x)
    assert bundle.rates is not None
    assert [rule.limit for rule in bundle.rates.rules] == [7]
    attempt = bundles.attempt(bundle, Target(provider("p", transport), "m"))
    assert attempt is not None
    assert [rule.limit for rule in attempt.quota.rules] == [8]
    with pytest.raises(AccessDenied, match="provider `closed`"):
        bundles.attempt(bundle, Target(provider("closed", transport), "m"))
