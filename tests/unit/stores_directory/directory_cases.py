"""Keys and scopes to write into a directory, and a store that a test can change and take away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from proxy.base.jsonio import loads
from proxy.base.secret import fingerprint
from proxy.build.lookup import stored_caller
from proxy.core.accounting import StoreAway
from proxy.core.identity import Batch, Changes, Snapshot, StoredKey, StoredScope
from proxy.core.quota import Rule, Scope, ScopeKind, Sliding, Walls
from proxy.stores.directory.file import in_folder
from proxy.stores.directory.reader import DirectoryReader, KeyRow
from proxy.stores.directory.stored import StoredCallers
from proxy.stores.directory.walls import Around, StoredWalls
from proxy.stores.directory.writer import DirectoryWriter

SOURCE = "embedded"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def key(name: str, *, secret: str | None = None, seq: int = 1, **fields: object) -> StoredKey:
    """A key of the store; what the caller sends is its name unless `secret` says otherwise."""
    document = {"name": name, **fields}
    return StoredKey(f"key_{name}", fingerprint(secret or name), document, seq=seq)


def scope(kind: ScopeKind, name: str, *, seq: int = 1, **fields: object) -> StoredScope:
    """A scope of the store."""
    return StoredScope(kind, name, fields, seq=seq)


def deleted(row: StoredKey, seq: int) -> StoredKey:
    """The same, deleted."""
    return replace(row, seq=seq, deleted=NOW)


def around(of: Scope, document: bytes) -> Around:
    """What the tests' documents of scopes mean: `{"rpm": 5}`, `{"blocked": true}`."""
    said = loads(document)
    if "rpm" not in said and "blocked" not in said:
        raise ValueError("no such setting")
    rules = (Rule(of, "rpm", "requests", said["rpm"], Sliding(60)),) if "rpm" in said else ()
    return Around(Walls(rules), said.get("blocked", False))


def built(folder: Path, *rows: StoredKey | StoredScope, seq: int = 1) -> DirectoryWriter:
    """A directory that is whole, and its writer."""
    writer = DirectoryWriter(in_folder(folder), SOURCE)
    assert writer.position() is None
    rebuild(writer, *rows, seq=seq)
    return writer


def rebuild(writer: DirectoryWriter, *rows: StoredKey | StoredScope, seq: int) -> None:
    writer.begin()
    writer.add(batch(*rows))
    writer.finish(seq)


def batch(*rows: StoredKey | StoredScope) -> Batch:
    return Batch(
        tuple(row for row in rows if isinstance(row, StoredKey)),
        tuple(row for row in rows if isinstance(row, StoredScope)),
    )


def changes(seq: int, *rows: StoredKey | StoredScope) -> Changes:
    return Changes(seq, *batch(*rows))


class Control:
    """A writer for tests of the loop, which may not wait for a disk."""

    def __init__(self, writer: DirectoryWriter) -> None:
        self._writer = writer

    @classmethod
    async def built(cls, folder: Path, *rows: StoredKey | StoredScope, seq: int = 1) -> "Control":
        """With a directory that is whole."""
        return cls(await asyncio.to_thread(built, folder, *rows, seq=seq))

    async def change(self, seq: int, *rows: StoredKey | StoredScope) -> None:
        await asyncio.to_thread(self._writer.apply, changes(seq, *rows))

    async def rebuild(self, *rows: StoredKey | StoredScope, seq: int) -> None:
        assert await asyncio.to_thread(self._writer.position) is None
        await asyncio.to_thread(rebuild, self._writer, *rows, seq=seq)

    async def close(self) -> None:
        await asyncio.to_thread(self._writer.close)


class Counting(DirectoryReader):
    """A reader that tells how often it was asked for each hash."""

    def __init__(self, path: Path, source: str) -> None:
        super().__init__(path, source)
        self.asked: list[bytes] = []

    def keys(self, hashes: Iterable[bytes]) -> dict[bytes, KeyRow | None]:
        asked = list(hashes)
        self.asked += asked
        return super().keys(asked)


class Worker:
    """What a worker has of the directory."""

    def __init__(self, folder: Path) -> None:
        self.reader = Counting(in_folder(folder), SOURCE)
        self.walls = StoredWalls(around)
        self.forgotten = 0
        self.callers = StoredCallers(self.reader, stored_caller, self.walls, self._forget)

    def _forget(self) -> None:
        self.forgotten += 1

    async def name(self, secret: str) -> str | None:
        """Who has that key, as `auth` asks."""
        hash_ = fingerprint(secret)
        found = self.callers.known(hash_) or await self.callers.find(hash_)
        return found.name if found is not None else None


@contextlib.asynccontextmanager
async def working(folder: Path) -> AsyncIterator[Worker]:
    """A worker that has looked once and looks again when a test says so."""
    worker = Worker(folder)
    await worker.callers.look()
    try:
        yield worker
    finally:
        await worker.callers.stop()


class FakeFeed:
    """An IdentityFeed in memory. `away`: it cannot be asked."""

    def __init__(self) -> None:
        self.rows: dict[str, StoredKey | StoredScope] = {}
        self.seq = 0
        self.away = False
        self.page = 1000
        self.snapshots = 0
        self.asked = 0  # For changes, since the last snapshot.
        self.news: Callable[[], None] = lambda: None

    def put(self, row: StoredKey | StoredScope) -> None:
        """A change, told of at once."""
        self.seq += 1
        self.rows[row.id] = replace(row, seq=self.seq)
        self.news()

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        self._refuse()
        self.snapshots += 1
        self.asked = 0
        yield Snapshot(self.seq, self._batches())

    async def changes(self, after: int) -> Changes:
        self._refuse()
        self.asked += 1
        if after > self.seq:
            return Changes(self.seq, lost=True)
        rows = sorted((r for r in self.rows.values() if r.seq > after), key=lambda r: r.seq)
        if len(rows) > self.page:
            rows = rows[: self.page]
            return replace(changes(rows[-1].seq, *rows), more=True)
        return changes(self.seq, *rows)

    async def follow(self, news: Callable[[], None]) -> None:
        self.news = news

    async def _batches(self) -> AsyncIterator[Batch]:
        for row in list(self.rows.values()):
            self._refuse()
            if row.deleted is None:
                yield batch(row)

    def _refuse(self) -> None:
        if self.away:
            raise StoreAway("it was taken away")
