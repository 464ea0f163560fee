"""What all parts of the admin API work with: the store, the configuration, and rules of both.

The configuration comes first: what it names cannot be made here a second time, since usage, limits
and budgets are counted by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.admin.refusals import Conflict
from proxy.base.errors import BadRequest
from proxy.base.secret import Secret, fingerprint
from proxy.config.limits import Walls
from proxy.config.settings import Settings
from proxy.core.identity import Change, Document, IdentityStore
from proxy.core.quota import ScopeKind

SETTINGS_OF: Mapping[ScopeKind, str] = {
    "team": "teams",
    "user": "users",
    "project": "projects",
    "customer": "customers",
    "agent": "agents",
    "session": "sessions",
    "tag": "tags",
    "model": "models",
    "provider": "providers",
    "global": "everyone",
}
"""Where the configuration has the walls of each kind of scope."""

_OF_REQUESTS: frozenset[ScopeKind] = frozenset(("customer", "agent", "session", "tag"))
_OWNERS: tuple[ScopeKind, ...] = ("team", "user", "project")


@dataclass(frozen=True, slots=True)
class Desk:
    """The store and the configuration in force."""

    kept: IdentityStore
    settings: Callable[[], Settings]

    @property
    def store(self) -> IdentityStore:
        """The store. Raises Conflict where the operator wants none."""
        if self.settings().store == "none":
            raise Conflict(
                "keys and budgets are kept in the store, and the configuration has `store: none`",
                code="no_store",
            )
        return self.kept

    @property
    def admin_key(self) -> Secret:
        """The admin key in force; without it nobody would have been let in."""
        key = self.settings().admin.key
        assert key is not None
        return key

    def refuse_inexact(self, document: Document) -> None:
        """Walls must be exact, and several workers can only count together in Redis."""
        settings = self.settings()
        if settings.worker_count == 1 or settings.redis is not None or not has_walls(document):
            return
        raise Conflict(
            f"limits and budgets of {settings.worker_count} workers would not be exact without "
            "`redis`: each would count for itself; set `redis`, or `workers: 1`",
            code="redis_needed",
            param="budgets" if document.get("budgets") else "limits",
        )

    def refuse_unrecorded(self, kind: ScopeKind, document: Document) -> None:
        """A worker that counts in its memory begins with what was recorded, which must say whose
        each request was."""
        settings = self.settings()
        if settings.telemetry.content != "none" or settings.redis is not None:
            return
        if kind in _OF_REQUESTS and document.get("budgets"):
            raise Conflict(
                f"with `telemetry.content: none` no record says of which {kind} a request was, so "
                "this budget would begin at 0 with every start of a worker; set `redis`, or "
                "`content: metadata`",
                code="redis_needed",
                param="budgets",
            )

    def refuse_configured_key(self, name: str, hash_: bytes) -> None:
        """The configuration has this name, or this key."""
        settings = self.settings()
        if any(key.name == name for key in settings.keys):
            raise Conflict(
                "the configuration has a key of this name", code="name_taken", param="name"
            )
        known = [key.key for key in settings.keys]
        if settings.admin.key is not None:
            known.append(settings.admin.key)
        if any(fingerprint(key.reveal()) == hash_ for key in known):
            raise Conflict("the configuration has this key", code="key_known", param="key")

    def refuse_configured_scope(self, kind: ScopeKind, name: str) -> None:
        """The configuration has walls of this scope."""
        written = getattr(self.settings(), SETTINGS_OF[kind])
        if kind == "global":
            taken = written != Walls()
        elif kind in {"model", "provider"}:
            own = written.get(name)
            taken = own is not None and (own.limits != Walls().limits or own.budgets != ())
        else:
            taken = name in written
        if taken:
            raise Conflict(
                f"the configuration has limits or budgets of this {kind}; change them there",
                code="name_taken",
                param="name",
            )


async def refuse_deleted_owners(change: Change, document: Document) -> None:
    """A key may name a team, user or project that has no entry, but none that was deleted."""
    for kind in _OWNERS:
        name = document.get(kind)
        if not isinstance(name, str):
            continue
        scope = await change.scope(kind, name)
        if scope is not None and scope.deleted is not None:
            raise Conflict(
                f"this {kind} was deleted; make it again, or name another",
                code="owner_deleted",
                param=kind,
            )


def has_walls(document: Document) -> bool:
    """Whether a document of a key or scope has limits or budgets."""
    per_model: Any = document.get("model_limits") or {}
    return bool(
        document.get("limits")
        or document.get("budgets")
        or any(each.get("limits") or each.get("budgets") for each in per_model.values())
    )


def same(field: str, before: object, after: object) -> None:
    """Refuse another value of a field that usage and budgets are counted by."""
    if before != after:
        raise BadRequest(
            f"`{field}` cannot be changed: usage, limits and budgets are counted by it",
            param=field,
            code="immutable",
        )
