"""The worker's side of the store: who calls and what stands around them, by the host's directory.

Like the stores that count it lives as long as the worker, so that a reload forgets nobody; what
asks it (the runtime's directory, the gate's rulebook) is built with each runtime.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from proxy.base.jsonio import loads
from proxy.base.secret import fingerprint
from proxy.build.callers import caller
from proxy.build.walls import walls
from proxy.config.callers import VirtualKey
from proxy.config.scopes import ScopeSettings
from proxy.config.settings import Settings
from proxy.core.caller import Caller, Directory
from proxy.core.quota import Scope, ScopeKind
from proxy.stores.directory.file import in_folder
from proxy.stores.directory.reader import DirectoryReader
from proxy.stores.directory.stored import StoredCallers
from proxy.stores.directory.walls import Around, StoredWalls, named
from proxy.stores.postgres.private import has_data

log = logging.getLogger("llm-proxy.directory")


class Bearers(Protocol):
    """Callers by token."""

    async def bearer(self, token: str) -> Caller | None:
        """Whose token it is, or None where it is none of ours. Raises NotAuthenticated,
        StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the store says, as this worker knows it."""

    callers: StoredCallers
    walls: StoredWalls
    private: Path | None = None
    """Where the private database lies, if it is that."""

    async def read(self) -> None:
        """Take in what there is."""
        # In this order: a database that is made in between has a directory to be waited for.
        unmade = self.private is not None and not await asyncio.to_thread(has_data, self.private)
        await self.callers.look()
        if unmade and not self.walls.whole:
            self.callers.unmade = True
            self.walls.replace({})  # Nobody can have written anything yet.

    def govern(self, settings: Settings) -> None:
        """Do as the configuration in force says."""
        policy = settings.store_failure
        self.walls.govern(configured(settings), strict="deny" in (policy.limits, policy.budgets))
        if (why_not := self.walls.why_not()) is not None:
            log.warning("nothing is served yet: %s; see docs/keys.md", why_not)

    def start(self) -> None:
        """Keep looking, in the background."""
        self.callers.start()

    async def stop(self) -> None:
        """Let go of the file."""
        await self.callers.stop()


class AllCallers:
    """The Directory of a runtime: keys of the store, bearers of tokens."""

    __slots__ = ("_bearers", "_stored", "_walls", "known")

    def __init__(self, stored: StoredCallers, bearers: Bearers | None, walls: StoredWalls) -> None:
        self._stored = stored
        self._bearers = bearers
        self._walls = walls
        self.known = stored.known  # Asked for every request: not by way of another call.

    async def find(self, fingerprint: bytes) -> Caller | None:
        """See Directory."""
        return await self._stored.find(fingerprint)

    async def bearer(self, token: str) -> Caller | None:
        """See Directory. An imported key may look like a token."""
        found = await self._bearers.bearer(token) if self._bearers is not None else None
        if found is not None:
            self._walls.refuse_deleted(named(found))
            return found
        digest = fingerprint(token)
        return self._stored.known(digest) or await self._stored.find(digest)

    def refuse_unready(self) -> None:
        """See Directory."""
        self._walls.refuse_unknown()


def lookup(settings: Settings, changed: Callable[[], None]) -> Lookup | None:
    """What asks the directory; None where nothing is stored. `changed`: walls did."""
    if settings.store == "none":
        return None
    reader = DirectoryReader(in_folder(settings.data_dir), source(settings))
    stored_walls = StoredWalls(_around)
    callers = StoredCallers(reader, stored_caller, stored_walls, changed)
    private = settings.data_dir if settings.store == "embedded" else None
    return Lookup(callers, stored_walls, private)


def directory(stored: Lookup | None, tokens: Directory | None) -> Directory | None:
    """The directory of a runtime. `tokens`: what knows the bearers of tokens, if anything does."""
    return AllCallers(stored.callers, tokens, stored.walls) if stored is not None else tokens


def configured(settings: Settings) -> frozenset[Scope]:
    """The teams, users and projects that the configuration names."""
    kinds: tuple[tuple[ScopeKind, Iterable[str]], ...] = (
        ("team", settings.teams),
        ("user", settings.users),
        ("project", settings.projects),
    )
    return frozenset(Scope(kind, name) for kind, names in kinds for name in names)


def source(settings: Settings) -> str:
    """Tells one store from another, without its password: the keys of one are none of another."""
    if isinstance(settings.store, str):
        return settings.store
    parts = urlsplit(settings.store.reveal())
    given = parse_qs(parts.query)
    place = [given.get(name) for name in ("host", "port", "dbname")]
    where = f"{parts.netloc.rpartition('@')[2]}{parts.path} {place}"
    return sha256(where.encode()).hexdigest()


def stored_caller(document: bytes) -> Caller:
    """The caller of a stored key. Raises ValueError."""
    return caller(VirtualKey.model_validate(loads(document)))


def _around(scope: Scope, document: bytes) -> Around:
    settings = ScopeSettings.model_validate(loads(document))
    return Around(walls(scope, settings.limits, settings.budgets), settings.blocked)
