"""Migrations: each once, in order, by one process at a time, and never a changed one."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from proxy.stores.postgres.migrate import Migration, MigrationRefused, migrate, migrations
from tests.fakes.postgres import query

FIRST = Migration("0001_one", "CREATE TABLE one (n integer)")
SECOND = Migration("0002_two", "CREATE TABLE two (n integer); INSERT INTO two VALUES (1)")


async def apply(dsn: str, *files: Migration) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return await migrate(connection, files or None)
    finally:
        await connection.close()


async def test_ours_apply_once(empty_postgres: str) -> None:
    names = [migration.name for migration in await asyncio.to_thread(migrations)]
    assert await apply(empty_postgres) == names
    assert await apply(empty_postgres) == []
    assert await query(empty_postgres, "SELECT name FROM schema_migrations ORDER BY 1") == [
        (name,) for name in names
    ]


async def test_only_the_new_one_is_applied(empty_postgres: str) -> None:
    assert await apply(empty_postgres, FIRST) == ["0001_one"]
    assert await apply(empty_postgres, FIRST, SECOND) == ["0002_two"]


async def test_several_processes_at_once(empty_postgres: str) -> None:
    done = await asyncio.gather(*(apply(empty_postgres, FIRST, SECOND) for _ in range(6)))
    assert sorted(name for names in done for name in names) == ["0001_one", "0002_two"]
    assert await query(empty_postgres, "SELECT count(*) FROM two") == [(1,)]


async def test_a_changed_file_is_refused(empty_postgres: str) -> None:
    await apply(empty_postgres, FIRST)
    with pytest.raises(MigrationRefused, match="0001_one was changed"):
        await apply(empty_postgres, Migration("0001_one", "CREATE TABLE other ()"), SECOND)
    assert await query(empty_postgres, "SELECT to_regclass('two')") == [(None,)]


async def test_a_newer_database_is_refused(empty_postgres: str) -> None:
    await apply(empty_postgres, FIRST, SECOND)
    with pytest.raises(MigrationRefused, match="newer llm-proxy: it has 0002_two"):
        await apply(empty_postgres, FIRST)


async def test_a_file_that_fails_leaves_no_trace(empty_postgres: str) -> None:
    broken = Migration("0002_two", "CREATE TABLE two (n integer); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await apply(empty_postgres, FIRST, broken)
    assert await query(empty_postgres, "SELECT to_regclass('two')") == [(None,)]
    assert await apply(empty_postgres, FIRST, SECOND) == ["0002_two"]


def test_names_are_numbered_and_unique(tmp_path: Path) -> None:
    for name in ("0001_a.sql", "0001_b.sql"):
        (tmp_path / name).write_text("SELECT 1", encoding="utf-8")
    with pytest.raises(MigrationRefused, match="the same number"):
        migrations(tmp_path)
    (tmp_path / "0001_b.sql").rename(tmp_path / "2.sql")
    with pytest.raises(MigrationRefused, match=r"2\.sql"):
        migrations(tmp_path)
