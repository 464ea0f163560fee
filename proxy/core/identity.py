"""Where stored keys and scopes meet: the admin API changes them, control hands them to workers.

A key or scope is a document (the fields of `config.callers.VirtualKey`, or of
`config.scopes.ScopeSettings`) and what the store adds. Every change is one transaction with one
entry of the audit log. Entries are numbered 1, 2, 3 … in the order of their commits, without gaps,
and each row carries the number of its last change (`seq`). So whoever has seen everything up to a
number needs only what is above it, and misses nothing.

`IdentityStore` is for the admin API, `IdentityFeed` for whoever follows. A document is what was
written, without defaults; it was valid when it was stored. Deleted rows stay, marked.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from proxy.core.quota import ScopeKind

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A virtual key of the store. `hash`: SHA-256 of the key. Until `old_until` the key before the
    last rotation works too: `old_hash`."""

    id: str  # key_ and 26 characters.
    hash: bytes
    document: Document
    version: int = 1
    old_hash: bytes | None = None
    old_until: datetime | None = None
    seq: int = 0
    created: datetime | None = None
    changed: datetime | None = None
    deleted: datetime | None = None

    @property
    def name(self) -> str:
        return str(self.document["name"])


@dataclass(frozen=True, slots=True)
class StoredScope:
    """The walls of a scope. `name` is empty for `global`, `*`: each that has no entry."""

    kind: ScopeKind
    name: str
    document: Document
    version: int = 1
    seq: int = 0
    created: datetime | None = None
    changed: datetime | None = None
    deleted: datetime | None = None

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


class Batch(NamedTuple):
    """Some keys and scopes."""

    keys: tuple[StoredKey, ...] = ()
    scopes: tuple[StoredScope, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All living keys and all scopes, as they stood after the change `seq`; `batches` once.

    Among the scopes are the teams, users and projects that were deleted: a key of the store or of
    the configuration, or the bearer of a token, may still name them.
    """

    seq: int
    batches: AsyncIterator[Batch]


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed after a number, as it stands now; what was deleted is marked. `seq`: seen with
    these, to be asked with next. `more`: ask again at once. `lost`: the store has not got as far as
    the number asked with, so it is another one, or an older state of it: take a snapshot."""

    seq: int
    keys: tuple[StoredKey, ...] = ()
    scopes: tuple[StoredScope, ...] = ()
    more: bool = False
    lost: bool = False


class IdentityFeed(Protocol):
    """Everything once, then what changes. Each method raises StoreAway (core.accounting)."""

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """One consistent read, open while the block runs."""

    async def changes(self, after: int) -> Changes:
        """What changed after that number, some hundreds at a time."""

    async def follow(self, news: Callable[[], None]) -> None:
        """Call `news` whenever there may be changes: at each notification, whenever the store can
        be reached again, and every second in case that none gets through. Never returns and never
        raises; cancel it."""


class KeyFilter(NamedTuple):
    """Which keys to list; None: all."""

    name: str | None = None
    team: str | None = None
    user: str | None = None
    deleted: bool = False  # Those instead of the living.


class Origin(NamedTuple):
    """Who changes something, and from where."""

    actor: str
    address: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One change in the audit log. `before`, `after`: None where there was, or is, nothing."""

    seq: int
    at: datetime
    actor: str
    address: str
    action: str
    kind: str
    id: str
    before: Document | None
    after: Document | None
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the audit log is whole: `broken` is the first number that is not as it was written,
    `reason` says what is wrong with it. `seq` and `hash`: the last entry."""

    entries: int
    seq: int
    hash: bytes
    broken: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation that can be repeated: `seed` makes the same key again for whoever asks with the
    same idempotency key (its SHA-256 is `token`) and the same `request`."""

    key_id: str
    token: bytes
    request: str
    seed: bytes


class Change(Protocol):
    """One change under way: nobody else changes anything, and nothing shows before it is whole.
    It has at most one `save`; without one nothing is kept."""

    now: datetime  # Of the change, by the store's clock.

    async def key(self, id: str) -> StoredKey | None:
        """A living key."""

    async def key_named(self, name: str) -> StoredKey | None:
        """The living key of that name."""

    async def holder(self, hash: bytes) -> StoredKey | None:
        """Whose key that is or was, deleted ones included."""

    async def scope(self, kind: ScopeKind, name: str) -> StoredScope | None:
        """A scope, also a deleted one."""

    async def rotation(self, key_id: str, token: bytes) -> Rotation | None:
        """The rotation that was asked for like this in the last 24 hours."""

    async def keep_rotation(self, rotation: Rotation) -> None:
        """Remember a rotation; older ones are forgotten."""

    async def save_key(
        self, action: str, key: StoredKey, before: StoredKey | None = None
    ) -> StoredKey:
        """Write a key; what comes back has its version, times and number."""

    async def save_scope(
        self, action: str, scope: StoredScope, before: StoredScope | None = None
    ) -> StoredScope:
        """Write a scope; what comes back has its version, times and number."""


class IdentityStore(Protocol):
    """Keys, scopes and the log of what was done to them. Each method raises StoreAway."""

    def change(self, origin: Origin) -> AbstractAsyncContextManager[Change]:
        """Change something. Whatever is raised inside undoes it all."""

    async def key(self, id: str) -> StoredKey | None:
        """A key, also a deleted one."""

    async def key_by_hash(self, hash: bytes) -> StoredKey | None:
        """The living key that this is now, or was until a moment that may yet come; None also where
        its team, user or project was deleted or is blocked."""

    async def keys(self, wanted: KeyFilter, limit: int, after: str | None) -> tuple[StoredKey, ...]:
        """By id, which is the order in which they were made; those behind an id."""

    async def scope(self, kind: ScopeKind, name: str) -> StoredScope | None:
        """A living scope."""

    async def scopes(
        self, kind: ScopeKind | None, limit: int, after: tuple[str, str] | None
    ) -> tuple[StoredScope, ...]:
        """Living scopes by kind and name; those behind a kind and name."""

    async def audit(self, limit: int, before: int | None, about: str | None) -> tuple[Entry, ...]:
        """The newest first; those before a number, those about an id."""

    async def verify(self) -> Verdict:
        """Read the whole log and follow its chain."""
