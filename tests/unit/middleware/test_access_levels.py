"""Who may use which model: levels, lists, patterns, operations; and who is shown what."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from proxy.base.errors import AccessDenied, NotFound
from proxy.base.jsonio import loads
from proxy.core.caller import ANONYMOUS, Access, Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.target import Route, Target
from proxy.middleware.access import access
from proxy.middleware.catalogue import catalogue
from proxy.middleware.plan import plan
from proxy.middleware.rules import rules
from proxy.routing.catalogue import Models
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange, provider, runtime
from tests.fakes.wire import FakeTransport

ALL = ModelPatterns.of(("*",))
TARGETS = (Target(provider("p", FakeTransport()), "u"), Target(provider("q", FakeTransport()), "u"))
LEVELS = tuple(Access)


def asked(
    routes: Iterable[Route], caller: Caller, model: str | None = None, *, path: str = "/files",
    method: str = "POST", headers: Iterable[tuple[str, str]] = (),
) -> Exchange:  # fmt: skip
    others = {name: Target(provider(name, FakeTransport())) for name in "pqr"}
    run = replace(runtime({}), catalogue=Models(routes), providers=others, passthrough=others["p"])
    path = "/chat/completions" if model is not None else path
    x = exchange(run, FakeIncoming(b"", path, headers, method=method))
    x.model, x.caller = model, caller
    return x


async def may(routes: Iterable[Route], caller: Caller, model: str) -> bool:
    """Whether a request for the model passes `rules` and `access`."""
    x = asked(routes, caller, model)
    rules(x)
    try:
        access(x)
    except AccessDenied as error:
        assert (error.status, error.code) == (403, "key_model_access_denied")
        assert error.param == "model"
        return False
    return True


async def listed(routes: Iterable[Route], caller: Caller) -> list[str]:
    """What `GET /v1/models` shows."""
    reply = catalogue(asked(routes, caller, path="/models", method="GET"))
    assert reply is not None
    cards: list[dict[str, Any]] = loads(reply.body)["data"]
    return [card["id"] for card in cards]


async def found(routes: Iterable[Route], caller: Caller, model: str) -> bool:
    """Whether `GET /v1/models/{model}` shows it."""
    try:
        reply = catalogue(asked(routes, caller, path=f"/models/{model}", method="GET"))
    except AccessDenied:
        return False
    assert reply is not None
    return bool(loads(reply.body)["id"] == model)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("clearance", LEVELS)
@pytest.mark.parametrize("targets", [TARGETS[:1], TARGETS])
async def test_clearance_against_access(
    level: Access, clearance: Access, targets: tuple[Target, ...]
) -> None:
    allowed = clearance.value >= level.value
    routes = [Route("m", targets, level), Route("x/*", targets, level)]
    caller = Caller("c", ALL, clearance=clearance)
    assert await may(routes, caller, "m") is allowed
    assert await may(routes, caller, "x/any") is allowed
    assert await listed(routes, caller) == (["m"] if allowed else [])
    assert await found(routes, caller, "m") is allowed
    assert await found(routes, caller, "x/any") is allowed


async def test_a_pattern_remembered_keeps_its_level() -> None:
    known = Models([Route("x/*", TARGETS[:1], Access.RESTRICTED, frozenset(("role:a",)))])
    for _ in range(2):  # The second comes from memory.
        route = known.route("x/1")
        assert route is not None
        assert route.access is Access.RESTRICTED
        assert route.authorized == frozenset(("role:a",))


async def test_the_message_names_the_level() -> None:
    x = asked([Route("m", TARGETS, Access.CLASSIFIED)], Caller("c", ALL), "m")
    rules(x)
    with pytest.raises(AccessDenied, match="`m` is classified"):
        access(x)


def named(user: str | None, *roles: str) -> Caller:
    return Caller("c", ALL, user=user, roles=frozenset(f"role:{role}" for role in roles))


@pytest.mark.parametrize(
    ("authorized", "caller", "allowed"),
    [
        (None, named(None), True),
        ({"user:ada"}, named("ada"), True),
        ({"user:ada"}, named("bob"), False),
        ({"user:ada"}, named(None), False),
        ({"user:ada"}, named(None, "ada"), False),
        ({"user:None"}, named(None), False),
        ({"user:ada", "role:analyst"}, named("bob", "analyst"), True),
        ({"user:ada", "role:analyst"}, named("ada"), True),
        ({"role:analyst"}, named("ada", "writer", "reader"), False),
        ({"role:analyst"}, named("analyst"), False),
        ({"role:user:ada"}, named("ada"), False),
        (set(), named("ada", "analyst"), False),
    ],
)
async def test_who_is_listed(authorized: set[str] | None, caller: Caller, allowed: bool) -> None:
    listed_there = None if authorized is None else frozenset(authorized)
    routes = [Route("m", TARGETS, authorized=listed_there)]
    assert await may(routes, caller, "m") is allowed
    assert await listed(routes, caller) == (["m"] if allowed else [])
    assert await found(routes, caller, "m") is allowed


async def test_being_listed_is_no_clearance() -> None:
    routes = [Route("m", TARGETS, Access.RESTRICTED, frozenset(("user:ada",)))]
    assert not await may(routes, named("ada"), "m")
    assert await may(routes, replace(named("ada"), clearance=Access.RESTRICTED), "m")
    assert not await may(routes, replace(named("bob"), clearance=Access.CLASSIFIED), "m")


async def test_models_are_those_of_key_level_and_list_together() -> None:
    routes = [
        Route("gpt-a", TARGETS),
        Route("gpt-b", TARGETS, Access.RESTRICTED),
        Route("gpt-c", TARGETS, Access.PUBLIC, frozenset(("role:analyst",))),
        Route("claude", TARGETS, Access.PUBLIC),
        Route("gpt-*", TARGETS, Access.PUBLIC),
    ]
    caller = Caller("c", ModelPatterns.of(("gpt-*",)))
    assert await listed(routes, caller) == ["gpt-a"]
    cleared = replace(caller, clearance=Access.CLASSIFIED, roles=frozenset(("role:analyst",)))
    assert await listed(routes, cleared) == ["gpt-a", "gpt-b", "gpt-c"]
    assert await listed(routes, Caller("d", ALL, clearance=Access.PUBLIC)) == ["claude"]


async def test_an_exact_name_is_not_reached_by_way_of_a_pattern() -> None:
    routes = [Route("gpt-secret", TARGETS, Access.CLASSIFIED), Route("gpt-*", TARGETS)]
    assert not await may(routes, Caller("c", ALL), "gpt-secret")
    assert await may(routes, Caller("c", ALL), "gpt-other")


async def test_everybody_is_cleared_for_what_is_internal_without_auth() -> None:
    routes = [Route("m", TARGETS), Route("s", TARGETS, Access.CONFIDENTIAL)]
    assert await may(routes, ANONYMOUS, "m")
    assert not await may(routes, ANONYMOUS, "s")


async def test_no_hint_names_a_model_that_the_caller_is_not_cleared_for() -> None:
    routes = [Route("gpt-secret", TARGETS, Access.CLASSIFIED)]
    for clearance, told in ((Access.INTERNAL, False), (Access.CLASSIFIED, True)):
        with pytest.raises(NotFound) as caught:
            rules(asked(routes, Caller("c", ALL, clearance=clearance), "gpt-secre"))
        assert ("gpt-secret" in caught.value.message) is told


@pytest.mark.parametrize(
    ("routes", "caller", "allowed"),
    [
        ([Route("m", TARGETS)], Caller("c", ALL), True),
        ([Route("m", TARGETS)], Caller("c", ModelPatterns.of(("m",))), False),
        ([Route("m", TARGETS, Access.RESTRICTED)], Caller("c", ALL), False),
        ([Route("m", TARGETS, authorized=frozenset(("role:a",)))], named("ada"), False),
        ([Route("x/*", TARGETS, Access.RESTRICTED)], Caller("c", ALL), False),
        (
            [Route("m", TARGETS, Access.RESTRICTED)],
            Caller("c", ALL, clearance=Access.RESTRICTED),
            True,
        ),
    ],
)
async def test_what_names_no_model_could_reach_any(
    routes: list[Route], caller: Caller, allowed: bool
) -> None:
    for x in (asked(routes, caller), asked(routes, caller, path="/images/edits")):
        if allowed:
            assert access(x) is None
            continue
        with pytest.raises(AccessDenied) as caught:
            access(x)
        assert caught.value.code == "key_operation_access_denied"


@pytest.mark.parametrize(
    ("secret_at", "asked_for", "allowed"),
    [
        (("p",), None, False),
        (("q",), None, True),
        (("q", "p"), None, False),
        ((), None, True),
        (("p",), "q", True),
        (("q",), "q", False),
        (("q",), "p", True),
        (("q",), "r", True),
    ],
)
async def test_only_models_of_the_provider_that_is_asked_count(
    secret_at: tuple[str, ...], asked_for: str | None, allowed: bool
) -> None:
    targets = tuple(Target(provider(name, FakeTransport()), "u") for name in secret_at)
    routes = [Route("open", TARGETS), Route("secret", targets, Access.RESTRICTED)]
    headers = [("x-llm-proxy-provider", asked_for)] if asked_for is not None else []
    x = asked(routes, Caller("c", ALL), headers=headers)
    if allowed:
        assert access(x) is None
        assert plan(x) is None
        assert [target.provider.name for target in x.plan] == [asked_for or "p"]
        return
    with pytest.raises(AccessDenied, match="cleared for every model of the provider"):
        access(x)


@pytest.mark.parametrize(
    ("operations", "path", "allowed"),
    [
        (None, "/chat/completions", True),
        (("chat",), "/chat/completions", True),
        (("chat",), "/embeddings", False),
        (("chat",), "/files", False),
        (("passthrough",), "/files", True),
        (("embeddings", "rerank"), "/rerank", True),
        ((), "/chat/completions", False),
    ],
)
async def test_operations(operations: tuple[str, ...] | None, path: str, allowed: bool) -> None:
    caller = Caller("c", ALL, operations=None if operations is None else frozenset(operations))
    x = asked([Route("m", TARGETS)], caller, path=path)
    if allowed:
        assert access(x) is None
        return
    with pytest.raises(AccessDenied) as caught:
        access(x)
    assert caught.value.code == "key_operation_access_denied"
    assert x.operation.name in caught.value.message


async def test_models_are_shown_whatever_the_operations() -> None:
    caller = Caller("c", ALL, operations=frozenset())
    assert await listed([Route("m", TARGETS)], caller) == ["m"]
