"""From claims to a caller: paths, types, and what an issuer's bearers are granted otherwise."""

from typing import Any

import pytest

from proxy.config.callers import Rights
from proxy.config.limits import Budget, Limits
from proxy.core.caller import Access
from proxy.core.quota import Scope
from proxy.identity.claims import ClaimNames, find
from tests.fakes.openid import OpenIdProvider
from tests.fakes.signing import SigningKey
from tests.unit.identity.identity_cases import Home

NAMES = ClaimNames(
    name="email",
    team="org.team",
    user="sub",
    project="https://example.com/project",
    tier="tier",
    clearance="clearance",
    roles="realm_access.roles",
    models="models",
)
GRANTS = Rights(
    models=("small",),
    operations=("chat",),
    team="everyone",
    project="none",
    agent="portal",
    tags=("sso",),
    tier="basic",
    clearance="public",
    roles=("reader",),
)


async def test_claims_say_who_it_is(provider: OpenIdProvider, rsa_key: SigningKey) -> None:
    home = Home(provider, claims=NAMES, grants=GRANTS)
    claims = home.claims(
        email="ada@example.com",
        org={"team": "research"},
        tier="gold",
        clearance="Restricted",
        realm_access={"roles": ["analyst", "writer"]},
        models=["gpt-*", "small"],
        **{"https://example.com/project": "apollo"},
    )
    caller = await home.caller(rsa_key.token(claims))
    assert caller.name == f"ada@example.com@{home.issuer.removeprefix('http://')}"
    assert (caller.team, caller.user, caller.project) == ("research", "ada", "apollo")
    assert (caller.tier, caller.clearance) == ("gold", Access.RESTRICTED)
    assert caller.roles == {"role:analyst", "role:writer"}
    assert "gpt-4" in caller.models
    assert "large" not in caller.models
    # What no claim says is what all of them are granted.
    assert (caller.agent, caller.tags) == ("portal", ("sso",))
    assert caller.operations == frozenset(("chat",))


async def test_absent_claims_leave_what_is_granted(
    provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    home = Home(provider, claims=NAMES, grants=GRANTS)
    claims = home.claims(email="e", org="research", realm_access={}, tier=None, clearance="")
    caller = await home.caller(rsa_key.token(claims))
    assert (caller.team, caller.project, caller.tier) == ("everyone", "none", "basic")
    assert caller.clearance is Access.PUBLIC
    assert caller.roles == {"role:reader"}
    assert "small" in caller.models
    assert "gpt-4" not in caller.models


async def test_an_empty_list_is_not_absent(provider: OpenIdProvider, rsa_key: SigningKey) -> None:
    home = Home(provider, claims=NAMES, grants=GRANTS)
    claims = home.claims(email="e", models=[], realm_access={"roles": ""})
    caller = await home.caller(rsa_key.token(claims))
    assert caller.roles == frozenset()
    assert "small" not in caller.models


async def test_roles_may_be_one_text(provider: OpenIdProvider, rsa_key: SigningKey) -> None:
    home = Home(provider, claims=ClaimNames(roles="scope"))
    caller = await home.caller(rsa_key.token(home.claims(scope="openid  models:read")))
    assert caller.roles == {"role:openid", "role:models:read"}


@pytest.mark.parametrize(
    ("setting", "more"),
    [
        ("name", {"email": ["a"]}),
        ("name", {"email": {"a": "b"}}),
        ("name", {"email": "x" * 256}),
        ("name", {"email": "a\nb"}),
        ("name", {"email": " a"}),
        ("team", {"org": {"team": 7}}),
        ("team", {"org": {"team": {"team": "x"}}}),
        ("user", {"sub": 12}),
        ("project", {"https://example.com/project": True}),
        ("tier", {"tier": ["gold"]}),
        ("clearance", {"clearance": "top secret"}),
        ("clearance", {"clearance": 4}),
        ("clearance", {"clearance": ["public"]}),
        ("roles", {"realm_access": {"roles": {"admin": True}}}),
        ("roles", {"realm_access": {"roles": ["a", 1]}}),
        ("roles", {"realm_access": {"roles": ["a", ""]}}),
        ("roles", {"realm_access": {"roles": ["r"] * 257}}),
        ("roles", {"realm_access": {"roles": 5}}),
        ("models", {"models": "gpt-4"}),
        ("models", {"models": [["gpt-4"]]}),
        ("models", {"models": ["a*b*"]}),
    ],
)
async def test_claims_of_the_wrong_type_refuse_the_token(
    provider: OpenIdProvider, rsa_key: SigningKey, setting: str, more: dict[str, Any]
) -> None:
    home = Home(provider, claims=NAMES, grants=GRANTS)
    error = await home.refusal(rsa_key.token(home.claims(**{"email": "e", **more})))
    assert error.code == "invalid_token"
    assert f"claims.{setting} " in error.message


@pytest.mark.parametrize("more", [{}, {"email": ""}, {"email": None}])
async def test_a_token_must_say_whose_it_is(
    provider: OpenIdProvider, rsa_key: SigningKey, more: dict[str, Any]
) -> None:
    home = Home(provider, claims=NAMES)
    error = await home.refusal(rsa_key.token(home.claims(**more)))
    assert "does not say whose it is" in error.message


async def test_limits_of_each_bearer_are_its_own(
    provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    grants = Rights(limits=Limits(rpm=5), budgets=(Budget.model_validate(
        {"amount": 1, "period": "day"}),))  # fmt: skip
    home = Home(provider, grants=grants)
    ada = await home.caller(rsa_key.token(home.claims()))
    again = await home.caller(rsa_key.token(home.claims(jti="second")))
    bob = await home.caller(rsa_key.token(home.claims(sub="bob")))
    assert ada is not again
    assert ada.walls == again.walls != bob.walls
    (rule,) = ada.walls.rates
    # A virtual key named `ada` has another count.
    assert rule.scope == Scope("key", ada.name) != Scope("key", "ada")
    assert ada.walls.budgets[0].limit == 10**9


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", 1),
        ("b.c", 2),
        ("b.d.e", 3),
        ("x.y", 4),
        ("x.y.z", 5),
        ("https://h.example/team", 6),
        ("https://h.example/org.team", 7),
        ("b", {"c": 2, "d": {"e": 3}}),
        ("a.b", None),
        ("b.c.d", None),
        ("b.", None),
        (".b", None),
        ("l.0", None),
        ("none", None),
        ("none.x", None),
    ],
)
def test_paths(path: str, found: object) -> None:
    claims = {
        "a": 1, "b": {"c": 2, "d": {"e": 3}}, "x.y": 4, "x": {"y.z": 5}, "l": [1],
        "https://h.example/team": 6, "https://h.example/org": {"team": 7}, "none": None,
    }  # fmt: skip
    assert find(claims, path) == found
