"""Numbered SQL files, each applied once and in order.

Each file runs in a transaction of its own, with the note that it ran and an advisory lock that
belongs to that transaction: several processes may migrate at once, and a transaction pooler in
between does no harm. A file that was changed after it ran is refused, and so is a database that
knows files we do not have: it belongs to a newer version.
"""

import asyncio
import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from proxy.stores.postgres.transaction import transaction

log = logging.getLogger("llm-proxy.postgres")

_FOLDER = Path(__file__).parent / "migrations"
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+")
MIGRATION_LOCK = 0x6C6C6D70_726F7879
"""Advisory locks are numbers that all users of a database share: this one spells llmproxy."""

_NOTES = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationRefused(Exception):
    """The database and the files do not belong together. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations(folder: Path = _FOLDER) -> tuple[Migration, ...]:
    """All files, in order. They are few and small."""
    found = sorted(folder.glob("*.sql"))
    if wrong := [path.name for path in found if not _NAME.fullmatch(path.stem)]:
        raise MigrationRefused(f"not the name of a migration: {', '.join(wrong)}")
    numbers = [path.stem[:4] for path in found]
    if len(set(numbers)) < len(numbers):
        raise MigrationRefused(f"two migrations in {folder} have the same number")
    return tuple(Migration(path.stem, path.read_text(encoding="utf-8")) for path in found)


async def migrate(
    connection: asyncpg.Connection, files: Sequence[Migration] | None = None
) -> list[str]:
    """Bring the schema up to date; return the names of what was applied now.

    Raises MigrationRefused, and asyncpg's errors when a file fails (then it left no trace).
    """
    known = await asyncio.to_thread(migrations) if files is None else files
    applied: list[str] = []
    while (name := await _apply_next(connection, known)) is not None:
        log.info("applied migration %s", name)
        applied.append(name)
    return applied


async def _apply_next(connection: asyncpg.Connection, files: Sequence[Migration]) -> str | None:
    async with transaction(connection):
        await connection.execute(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        await connection.execute(_NOTES)
        rows = await connection.fetch("SELECT name, checksum FROM schema_migrations")
        migration = _next(files, {row["name"]: row["checksum"] for row in rows})
        if migration is None:
            return None
        await connection.execute(migration.text)
        await connection.execute(
            "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)",
            *(migration.name, migration.checksum),
        )
        return migration.name


def _next(files: Sequence[Migration], done: dict[str, str]) -> Migration | None:
    if strange := sorted(done.keys() - {migration.name for migration in files}):
        raise MigrationRefused(
            f"the database belongs to a newer llm-proxy: it has {', '.join(strange)}"
        )
    for migration in files:
        if done.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationRefused(f"{migration.name} was changed after it had been applied")
    return next((migration for migration in files if migration.name not in done), None)
