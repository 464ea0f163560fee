"""From the keys that are written to the callers that are known by them."""

from ipaddress import ip_network

from proxy.base.secret import fingerprint
from proxy.build.walls import walls
from proxy.config.callers import Rights, VirtualKey
from proxy.config.settings import Settings
from proxy.core.caller import Access, Caller, ModelPatterns
from proxy.core.quota import Scope


def callers(settings: Settings) -> dict[bytes, Caller] | None:
    """The callers of the configuration, by the SHA-256 of their keys; None: auth is off."""
    if settings.auth == "none":
        return None
    return {fingerprint(key.key.reveal()): caller(key) for key in settings.keys}


def caller(key: VirtualKey) -> Caller:
    """The caller that a virtual key stands for."""
    return Caller(
        key.name,
        ModelPatterns.of(tuple(key.models)),
        key.expires.timestamp() if key.expires is not None else None,
        team=key.team,
        user=key.user,
        project=key.project,
        tags=tuple(key.tags),
        agent=key.agent,
        tier=key.tier,
        clearance=Access[key.clearance.upper()],
        roles=frozenset(f"role:{role}" for role in key.roles),
        operations=frozenset(key.operations) if key.operations is not None else None,
        networks=tuple(ip_network(each) for each in key.ips),
        blocked=key.blocked,
        walls=walls(Scope("key", key.name), key.limits, key.budgets),
        per_model=tuple(
            (
                ModelPatterns.of((pattern,)),
                walls(Scope("key_model", f"{key.name}/{pattern}"), each.limits, each.budgets),
            )
            for pattern, each in key.model_limits.items()
        ),
    )


def bearer(name: str, grants: Rights) -> Caller:
    """The caller that a token stands for, before its claims are looked at."""
    return Caller(
        name,
        ModelPatterns.of(tuple(grants.models)),
        team=grants.team,
        user=grants.user,
        project=grants.project,
        tags=tuple(grants.tags),
        agent=grants.agent,
        tier=grants.tier,
        clearance=Access[grants.clearance.upper()],
        roles=frozenset(f"role:{role}" for role in grants.roles),
        operations=frozenset(grants.operations) if grants.operations is not None else None,
        walls=walls(Scope("key", name), grants.limits, grants.budgets),
    )
