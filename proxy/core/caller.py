"""Who calls: a virtual key and what it may do."""

from collections.abc import Mapping
from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class Caller:
    """A virtual key. `expires` is in seconds since the epoch; the rest are labels for records."""

    name: str
    models: ModelPatterns
    expires: float | None = None
    team: str | None = None
    user: str | None = None
    project: str | None = None
    tags: tuple[str, ...] = ()


ANONYMOUS = Caller("anonymous", ModelPatterns.of(("*",)))
"""Everybody, where no keys are asked for."""

UNKNOWN = Caller("unknown", ModelPatterns.of(()))
"""Whoever has not shown a key yet."""

Callers = Mapping[bytes, Caller]
"""By SHA-256 of the key."""
