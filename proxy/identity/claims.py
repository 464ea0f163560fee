"""What a token's claims mean: when and for whom it is good, and whose it is.

A claim that is absent leaves what the issuer's bearers are granted; one of the wrong type refuses
the token, so that a mistake at the issuer never widens what anybody may do. Messages name the
setting, not the claim's content.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from proxy.base.errors import NotAuthenticated
from proxy.core.caller import Access, Caller, ModelPatterns
from proxy.identity.token import invalid

_LONGEST = 255  # Of `sub` (OpenID Connect Core §2).
_MOST = 256
_LEVELS = {level.name.lower(): level for level in Access}


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Which claim says what; a dot goes into an object."""

    name: str = "sub"
    team: str | None = None
    user: str | None = "sub"
    project: str | None = None
    tier: str | None = None
    clearance: str | None = None
    roles: str | None = None
    models: str | None = None


def good_until(
    claims: dict[str, Any], audience: frozenset[str], now: float, leeway: float
) -> float:
    """Until when the token is good, leeway included. Raises NotAuthenticated."""
    expires, begins = _number(claims, "exp"), _number(claims, "nbf")
    if expires is None:
        raise invalid("it has no time of expiry (exp)")
    if expires + leeway <= now:
        raise expired()
    if begins is not None and begins - leeway > now:
        raise invalid("it is not valid yet (nbf)")
    named = claims.get("aud")
    listed = named if isinstance(named, list) else [named]
    if not any(isinstance(each, str) and each in audience for each in listed):
        raise invalid("it is not meant for this service (aud)")
    return expires + leeway


def expired() -> NotAuthenticated:
    return NotAuthenticated("this token has expired", code="expired_token")


def caller_of(
    claims: dict[str, Any], names: ClaimNames, issuer: str, grant: Callable[[str], Caller]
) -> Caller:
    """The bearer. Raises NotAuthenticated for claims of the wrong type."""
    name = _text(claims, names.name, "name")
    if name is None:
        raise invalid("it does not say whose it is (claims.name)")
    # Two issuers may use one name, and a virtual key may have it: their budgets are not shared.
    caller = grant(f"{name}@{issuer.partition('://')[2] or issuer}")
    models = _texts(claims, names.models, "models", spaced=False)
    roles = _texts(claims, names.roles, "roles", spaced=True)
    return replace(
        caller,
        team=_text(claims, names.team, "team") or caller.team,
        user=_text(claims, names.user, "user") or caller.user,
        project=_text(claims, names.project, "project") or caller.project,
        tier=_text(claims, names.tier, "tier") or caller.tier,
        clearance=_level(claims, names.clearance, caller.clearance),
        roles=caller.roles if roles is None else frozenset(f"role:{role}" for role in roles),
        models=caller.models if models is None else _patterns(models),
    )


def find(claims: dict[str, Any], path: str) -> Any:
    """The claim at a path, or None. A name may hold dots itself: `https://example.com/team`."""
    if path in claims:
        return claims[path]
    at = path.find(".")
    while at >= 0:
        inner = claims.get(path[:at])
        if isinstance(inner, dict) and (found := find(inner, path[at + 1 :])) is not None:
            return found
        at = path.find(".", at + 1)
    return None


def _number(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{name} is no number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise invalid(f"{name} is no time")
    return number


def _text(claims: dict[str, Any], path: str | None, setting: str) -> str | None:
    value = find(claims, path) if path is not None else None
    if value is None or value == "":
        return None
    return _word(value, setting)


def _word(value: object, setting: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
        raise invalid(f"claims.{setting} leads to something that is no name")
    if value != value.strip():
        raise invalid(f"claims.{setting} leads to something that is no name")
    return value


def _texts(
    claims: dict[str, Any], path: str | None, setting: str, *, spaced: bool
) -> list[str] | None:
    value = find(claims, path) if path is not None else None
    if value is None:
        return None
    if spaced and isinstance(value, str):
        value = value.split()
    if not isinstance(value, list) or len(value) > _MOST:
        raise invalid(f"claims.{setting} leads to something that is no list of names")
    return [_word(each, setting) for each in value]


def _patterns(models: list[str]) -> ModelPatterns:
    if any(model.count("*") > 1 for model in models):
        raise invalid("claims.models leads to a name with more than one `*`")
    return ModelPatterns.of(tuple(models))


def _level(claims: dict[str, Any], path: str | None, granted: Access) -> Access:
    said = _text(claims, path, "clearance")
    if said is None:
        return granted
    level = _LEVELS.get(said.lower())
    if level is None:
        raise invalid("claims.clearance leads to something that is no access level")
    return level
