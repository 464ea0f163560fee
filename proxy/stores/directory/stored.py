"""Keys of the store, as a worker knows them: found in memory, else in the host's directory.

A key that was found stays in memory until it changes or others need its place; keys that nobody has
are remembered apart, so that made-up ones push no good one out. What is looked up at the same time
is read together, each key once. Four times a second the file is looked at, and exactly what changed
is forgotten; a request in flight keeps the caller it has.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from proxy.base.errors import HeaderPairs, StoreUnavailable
from proxy.base.tasks import Tasks
from proxy.core.caller import Caller
from proxy.core.quota import Scope
from proxy.stores.directory.file import Unusable
from proxy.stores.directory.in_turn import InTurn
from proxy.stores.directory.reader import DirectoryReader, KeyRow, News
from proxy.stores.directory.recent import Recent
from proxy.stores.directory.walls import StoredWalls, named

log = logging.getLogger("llm-proxy.directory")

_LOOK = 0.25  # Seconds.
_BEGINNING = 0.02  # The same, at first, while nothing is served because nothing is known yet.
_MOST = 10_000
_DOCUMENTS = 16 * 1024 * 1024  # Bytes, of the documents that kept callers were made of.
_TOGETHER = 64
_LATER: HeaderPairs = ((b"retry-after", b"1"),)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A key that is known, and the scopes it names."""

    id: str
    caller: Caller
    scopes: tuple[Scope, ...]


_UNCLEAR: Literal["unclear"] = "unclear"
"""Whether there is such a key, or what it may do, cannot be said now."""

_Answer = _Kept | Literal["unclear"] | None
_Found = tuple[str, Caller, int] | Literal["unclear"] | None
"""The id, who it is and the size of the document; None: there is no such key."""


class StoredCallers:
    """The callers of the store; `walls` gets what the directory says of scopes.

    `make` reads a key's document and raises ValueError where it does not understand it; `changed`
    is called when walls have changed."""

    def __init__(
        self,
        reader: DirectoryReader,
        make: Callable[[bytes], Caller],
        walls: StoredWalls,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._reader = reader
        self._make = make
        self._walls = walls
        self._changed = changed
        self._kept: Recent[bytes, _Kept] = Recent(_MOST, _DOCUMENTS)
        self._strangers: Recent[bytes, bool] = Recent(_MOST, _MOST)
        self._asked: dict[bytes, asyncio.Future[_Answer]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._in_thread = InTurn()
        self._tasks = Tasks()
        self._why_not: str | None = "the directory has not been looked at yet"
        self.unmade = False  # There is no store yet, so nobody can have a key in it.

    def known(self, fingerprint: bytes) -> Caller | None:
        """Found at once, or None. Raises AccessDenied for a key of a team that was deleted."""
        kept = self._kept.get(fingerprint)
        return self._admitted(kept) if kept is not None else None

    async def find(self, fingerprint: bytes) -> Caller | None:
        """The caller, or None where nobody has this key. Raises StoreUnavailable, AccessDenied."""
        if self._strangers.get(fingerprint):
            return None
        answer = self._asked.get(fingerprint)
        if answer is None:
            answer = asyncio.get_running_loop().create_future()
            self._asked[fingerprint] = answer
            if self._reading is None or self._reading.done():
                self._reading = self._tasks.spawn(self._read(), name="directory reads")
        # Shielded: others may wait for the same answer.
        found = await asyncio.shield(answer)
        if found == _UNCLEAR:
            if self.unmade:
                return None
            raise StoreUnavailable(
                "this API key cannot be looked up at the moment; try again", headers=_LATER
            )
        return self._admitted(found) if found is not None else None

    def why_not(self) -> str | None:
        """Why the directory cannot be read now, or None."""
        return self._why_not

    def start(self) -> None:
        """Keep looking, in the background."""
        _ = self._tasks.spawn(self._watch(), name="directory watch")

    async def stop(self) -> None:
        """Let go of the file. Whoever still waits for an answer is cancelled."""
        await self._tasks.cancel()
        for answer in self._asked.values():
            answer.cancel()
        self._asked.clear()
        await self._in_thread(self._reader.close)

    async def look(self) -> None:
        """Take in what changed."""
        try:
            # Taken in the loop turn in which the thread's answer came: no other answer that is
            # older can follow it.
            self._take(await self._in_thread(self._look))
        except Unusable as error:
            if str(error) != self._why_not:
                log.info("the directory of keys cannot be read: %s", error)
            self._why_not = str(error)
        else:
            self._why_not = None
            self.unmade = False

    async def _watch(self) -> None:
        pause = _BEGINNING
        while True:
            pause = _LOOK if self._walls.whole else min(1.1 * pause, _LOOK)
            await asyncio.sleep(pause)
            try:
                await self.look()
            except Exception:
                # Whoever stopped looking would let revoked keys in for ever. What this look had
                # found is lost, so let the next one find everything.
                log.exception("looking at the directory failed; it is read anew")
                await self._in_thread(self._reader.close)

    def _take(self, news: News | None) -> None:
        if news is None:
            return
        if news.everything:
            self._kept.clear()
            self._strangers.clear()
            self._walls.replace(news.scopes)
            self._changed()
            return
        for hash_ in news.hashes:
            self._strangers.drop(hash_)
        self._walls.change(news.scopes)
        if news.keys:
            changed = [hash_ for hash_, kept in self._kept.items() if kept.id in news.keys]
            for hash_ in changed:
                self._kept.drop(hash_)
        if news.scopes:
            self._changed()

    async def _read(self) -> None:
        """Look up what is asked for, until nothing is."""
        while self._asked:
            hashes = list(islice(self._asked, _TOGETHER))
            found: dict[bytes, _Found] = {}
            news: News | None = None
            try:
                found, news = await self._in_thread(lambda: self._look_up(hashes))  # noqa: B023
            except Unusable as error:
                log.debug("keys cannot be looked up: %s", error)
            except Exception:  # Whoever asked must be answered: that it is unclear.
                log.exception("looking up keys failed")
            for hash_ in hashes:
                self._answer(hash_, found.get(hash_, _UNCLEAR))
            self._take(news)

    def _look_up(self, hashes: Sequence[bytes]) -> tuple[dict[bytes, _Found], News | None]:
        """What the hashes lead to, and what changed up to then or a little later: a key must not be
        known before the walls that were made before it."""
        rows = self._reader.keys(hashes)
        found = {hash_: self._meaning(row) for hash_, row in rows.items()}
        return found, self._look()

    def _look(self) -> News | None:
        news = self._reader.look()
        if news is not None:
            self._walls.ahead(news.scopes)
        return news

    def _meaning(self, row: KeyRow | None) -> _Found:
        if row is None:
            return None
        try:
            caller = self._make(row.document)
        except ValueError as error:
            log.error("what is stored of the key %s is not understood: %s", row.id, error)  # noqa: TRY400
            return _UNCLEAR
        if row.until is not None:
            until = row.until if caller.expires is None else min(row.until, caller.expires)
            caller = replace(caller, expires=until)
        return row.id, caller, len(row.document)

    def _answer(self, hash_: bytes, found: _Found) -> None:
        answer = self._asked.pop(hash_)
        kept: _Answer = None
        if found is None:
            self._strangers.put(hash_, value=True, weight=1)
        elif found == _UNCLEAR:
            kept = _UNCLEAR
        else:
            id_, caller, size = found
            kept = _Kept(id_, caller, named(caller))
            self._kept.put(hash_, kept, size)
        if not answer.done():
            answer.set_result(kept)

    def _admitted(self, kept: _Kept) -> Caller:
        self._walls.refuse_deleted(kept.scopes)
        return kept.caller
