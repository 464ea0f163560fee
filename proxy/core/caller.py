"""Who calls: a virtual key and what it may do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Protocol

from proxy.core.quota import NO_WALLS, Walls


@dataclass(frozen=True, slots=True)
class ModelPatterns:
    """Names of models with at most one `*` each, compiled for one question: is this one allowed?"""

    exact: frozenset[str]
    around: tuple[tuple[str, str], ...]  # Text before and after the star.
    everything: bool

    @classmethod
    def of(cls, patterns: tuple[str, ...]) -> "ModelPatterns":
        exact = frozenset(p for p in patterns if "*" not in p)
        starred = (p.partition("*") for p in patterns if "*" in p)
        around = tuple((before, after) for before, _, after in starred)
        return cls(exact, around, ("", "") in around)

    def __contains__(self, model: str) -> bool:
        return (
            self.everything
            or model in self.exact
            or any(
                len(model) >= len(before) + len(after)
                and model.startswith(before)
                and model.endswith(after)
                for before, after in self.around
            )
        )


class Access(IntEnum):
    """How secret a model is, and how much a caller is trusted with."""

    PUBLIC = 0
    INTERNAL = 1
    CONFIDENTIAL = 2
    RESTRICTED = 3
    CLASSIFIED = 4


@dataclass(frozen=True, slots=True)
class Caller:
    """A virtual key, or the bearer of a token. `expires` is in seconds since the epoch."""

    name: str
    models: ModelPatterns
    expires: float | None = None
    team: str | None = None
    user: str | None = None
    project: str | None = None
    tags: tuple[str, ...] = ()
    agent: str | None = None
    tier: str | None = None
    clearance: Access = Access.INTERNAL
    roles: frozenset[str] = frozenset()  # As `role:analyst`.
    operations: frozenset[str] | None = None  # None: all.
    networks: tuple[IPv4Network | IPv6Network, ...] = ()  # Empty: from anywhere.
    blocked: bool = False
    walls: Walls = NO_WALLS
    per_model: tuple[tuple[ModelPatterns, Walls], ...] = ()


ANONYMOUS: Final = Caller("anonymous", ModelPatterns.of(("*",)))
"""Everybody, where no keys are asked for."""

UNKNOWN: Final = Caller("unknown", ModelPatterns.of(()))
"""Whoever has not shown a key yet."""


Callers = Mapping[bytes, Caller]
"""By SHA-256 of the key."""


class Directory(Protocol):
    """Callers that the configuration does not list: keys of the store, bearers of tokens."""

    def known(self, fingerprint: bytes) -> Caller | None:
        """Found at once, or None: then `find` may still know it."""

    async def find(self, fingerprint: bytes) -> Caller | None:
        """The caller, or None where nobody has this key. Raises StoreUnavailable."""

    async def bearer(self, token: str) -> Caller | None:
        """Whose token it is, or None where it is no token of ours. Raises NotAuthenticated for one
        that is expired or false, AccessDenied for one of a team that was deleted."""

    def refuse_unready(self) -> None:
        """Raises StoreUnavailable while nothing can be served for want of what the store says."""
