"""What the directory says of teams, users, customers …: the Rulebook of the store.

All documents are in memory as they were written: a request that names a scope nobody has written of
costs one look into a table, however many names are made up. What a document means is found out when
it is first asked for, and kept; time zones are read from the disk before that.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from proxy.base.errors import AccessDenied, StoreUnavailable
from proxy.core.caller import Caller
from proxy.core.quota import Scope, ScopeKind, Walls
from proxy.stores.directory.reader import ScopeRow

log = logging.getLogger("llm-proxy.directory")

_ZONE = b'"zone"'
_MOST_MADE = 10_000


@dataclass(frozen=True, slots=True)
class Around:
    """What a document says of its scope."""

    walls: Walls
    blocked: bool = False


class StoredWalls:
    """The scopes of the store. `make` reads a document; it raises ValueError for one that it does
    not understand."""

    __slots__ = ("_deleted", "_documents", "_made", "_make")

    def __init__(self, make: Callable[[Scope, bytes], Around]) -> None:
        self._make = make
        self._documents: dict[Scope, bytes] = {}
        self._deleted: set[Scope] = set()
        self._made: dict[Scope, Around] = {}

    def walls(self, scope: Scope) -> Walls | None:
        """What stands around it, or None where the store says nothing of it. Raises AccessDenied
        where it is blocked, StoreUnavailable where its document is not understood."""
        around = self._made.get(scope)
        if around is None:
            document = self._documents.get(scope)
            if document is None:
                return None
            around = self._read(scope, document)
        if around.blocked:
            raise AccessDenied(f"the {scope} is blocked; ask the operator why")
        return around.walls

    def deleted(self, scopes: Iterable[Scope]) -> Scope | None:
        """The first of them that was deleted."""
        if not self._deleted:
            return None
        return next((scope for scope in scopes if scope in self._deleted), None)

    def ahead(self, rows: Mapping[Scope, ScopeRow | None]) -> None:
        """Find out what may take time, in a thread: zones that were read once are at hand."""
        for scope, row in rows.items():
            if row is not None and _ZONE in row.document:
                try:
                    self._make(scope, row.document)
                except ValueError as error:
                    log.error("what is stored of %s is not understood: %s", scope, error)  # noqa: TRY400

    def replace(self, rows: Mapping[Scope, ScopeRow | None]) -> None:
        """These are all that there are."""
        self._documents.clear()
        self._deleted.clear()
        self._made.clear()
        self.change(rows)

    def change(self, rows: Mapping[Scope, ScopeRow | None]) -> None:
        """These are as they stand now; None: it is gone."""
        for scope, row in rows.items():
            self._made.pop(scope, None)
            self._deleted.discard(scope)
            self._documents.pop(scope, None)
            if row is None:
                continue
            if row.deleted:
                self._deleted.add(scope)
            else:
                self._documents[scope] = row.document

    def _read(self, scope: Scope, document: bytes) -> Around:
        try:
            around = self._make(scope, document)
        except ValueError as error:  # A wall that is not understood must not be taken for none.
            raise StoreUnavailable(f"what is stored of {scope} is not understood") from error
        if len(self._made) >= _MOST_MADE:
            self._made.clear()
        self._made[scope] = around
        return around


def named(caller: Caller) -> tuple[Scope, ...]:
    """The scopes that a caller belongs to: those of the kinds in `KEYS_NAME`."""
    owners: tuple[tuple[ScopeKind, str | None], ...] = (
        ("team", caller.team),
        ("user", caller.user),
        ("project", caller.project),
    )
    return tuple(Scope(kind, name) for kind, name in owners if name is not None)
