"""What the directory says of teams, users, customers …: the Rulebook of the store.

All documents are in memory as they were written: a request that names a scope nobody has written of
costs one look into a table, however many names are made up. What a document means is found out when
it is first asked for, and kept; time zones are read from the disk before that.

Before the directory was seen whole any scope may have walls, so each is refused, unless the
operator lets requests through that cannot be counted.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from proxy.base.errors import AccessDenied, HeaderPairs, StoreUnavailable
from proxy.core.caller import Caller
from proxy.core.quota import Scope, ScopeKind, Walls
from proxy.core.switches import SWITCH
from proxy.stores.directory.reader import ScopeRow

log = logging.getLogger("llm-proxy.directory")

_ZONE = b'"zone"'
_MOST_MADE = 10_000
_UNKNOWN = (
    "limits and budgets that are kept in the store are not known yet: control writes them to the "
    "directory of this host as soon as it has reached the store"
)
_LATER: HeaderPairs = ((b"retry-after", b"1"),)


@dataclass(frozen=True, slots=True)
class Around:
    """What a document says of its scope."""

    walls: Walls
    blocked: bool = False


class StoredWalls:
    """The scopes of the store. `make` reads a document; it raises ValueError for one that it does
    not understand."""

    __slots__ = (
        "_configured",
        "_deleted",
        "_documents",
        "_made",
        "_make",
        "_strict",
        "switches",
        "whole",
    )

    def __init__(self, make: Callable[[Scope, bytes], Around]) -> None:
        self._make = make
        self._documents: dict[Scope, bytes] = {}
        self._deleted: set[Scope] = set()
        self._made: dict[Scope, Around] = {}
        self._configured: frozenset[Scope] = frozenset()
        self._strict = True
        self.switches: dict[str, bytes] = {}  # What operators have switched, by its name.
        self.whole = False  # Whether all that there are were ever known.

    def govern(self, configured: frozenset[Scope], *, strict: bool) -> None:
        """What the configuration in force wants. `configured`: scopes that it names, and that so
        exist whatever the store says. `strict`: nothing is let through before walls are known."""
        self._configured = configured
        self._strict = strict

    def walls(self, scope: Scope) -> Walls | None:
        """What stands around it, or None where the store says nothing of it. Raises AccessDenied
        where it is blocked or deleted, StoreUnavailable where its document is not understood or
        nothing is known yet."""
        around = self._made.get(scope)
        if around is None:
            document = self._documents.get(scope)
            if document is None:
                if not self.whole:
                    self.refuse_unknown()
                if self._deleted:
                    self.refuse_deleted((scope,))
                return None
            around = self._read(scope, document)
        if around.blocked:
            raise AccessDenied(f"the {scope} is blocked; ask the operator why")
        return around.walls

    def refuse_unknown(self) -> None:
        """Raises StoreUnavailable where walls would have to be known and are not."""
        if self._strict and not self.whole:
            raise StoreUnavailable(
                f"{_UNKNOWN}; try again. If it lasts, the operator has to let PostgreSQL be "
                "reached once (`keys` in /readyz of the admin port says what is in the way), or to "
                "serve without: `store_failure` with no `deny` in `limits` and `budgets`",
                headers=_LATER,
            )

    def why_not(self) -> str | None:
        """Why nothing at all is served for want of walls, or None."""
        return _UNKNOWN if self._strict and not self.whole else None

    def refuse_deleted(self, scopes: Iterable[Scope]) -> None:
        """Raises AccessDenied where one of them was deleted."""
        for scope in scopes:
            if scope in self._deleted and scope not in self._configured:
                raise AccessDenied(
                    f"the {scope} that this caller belongs to was deleted; ask the operator"
                )

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
        self.whole = True
        self._documents.clear()
        self._deleted.clear()
        self._made.clear()
        self.switches.clear()
        self.change(rows)

    def change(self, rows: Mapping[Scope, ScopeRow | None]) -> None:
        """These are as they stand now; None: it is gone."""
        for scope, row in rows.items():
            if scope.kind == SWITCH:
                self._switch(scope.name, row)
                continue
            self._made.pop(scope, None)
            self._deleted.discard(scope)
            self._documents.pop(scope, None)
            if row is None:
                continue
            if row.deleted:
                self._deleted.add(scope)
            else:
                self._documents[scope] = row.document

    def _switch(self, name: str, row: ScopeRow | None) -> None:
        self.switches.pop(name, None)
        if row is not None and not row.deleted:
            self.switches[name] = row.document

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
