"""A PostgreSQL that is slow, full or restarted amid a COPY: the shipper goes on by itself, and the
rows are the records, each once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from proxy.base.clock import monotonic
from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.usage import PostgresUsage
from proxy.wire.record import line_of
from tests.fakes.postgres import HASTY, query
from tests.unit.stores.records import assert_books_agree, records
from tests.unit.usage_ship.shipping import (
    shipping,
    until_away,
    until_back,
    until_empty,
    until_shipped,
)
from tests.unit.usage_ship.spool_files import ActiveSegment, write_segment

_WAITS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@pytest.fixture
async def own_server(data_dir: Path, template: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server that a test may stop."""
    server = EmbeddedPostgres(data_dir, template=template, settings=HASTY)
    yield server
    await server.stop()


@contextlib.asynccontextmanager
async def locked(dsn: str, table: str = "usage") -> AsyncIterator[None]:
    """Another session keeps the table to itself, as a migration or VACUUM FULL does."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
    finally:
        connection.terminate()


async def until_waiting(dsn: str, sessions: int) -> None:
    """Wait until so many sessions wait for a lock."""
    async with asyncio.timeout(20):
        while (await query(dsn, _WAITS))[0][0] != sessions:
            await asyncio.sleep(0.005)


async def test_a_statement_that_takes_long_is_waited_for(tmp_path: Path, postgres: str) -> None:
    active = ActiveSegment(tmp_path, 1)
    async with shipping(tmp_path, PostgresUsage(postgres)) as shipper:
        active.append(b"".join(map(line_of, records(50))))
        await until_shipped(shipper, 50)
        async with locked(postgres):
            active.append(b"".join(map(line_of, records(150, start=50))))
            await until_waiting(postgres, 1)
            assert shipper.state().reason is None
            assert shipper.state().shipped == 50
        await until_shipped(shipper, 200)
        active.finish()
        await until_empty(tmp_path)
    await assert_books_agree(postgres, records(200))


@pytest.mark.parametrize("table", ["usage", "usage_hourly", "spool_offsets"])
async def test_a_statement_that_takes_too_long(tmp_path: Path, postgres: str, table: str) -> None:
    """The batch is given up, its session with it, and tried again until the lock is free."""
    active = ActiveSegment(tmp_path, 1)
    async with shipping(tmp_path, PostgresUsage(postgres, patience=0.4)) as shipper:
        active.append(b"".join(map(line_of, records(50))))
        await until_shipped(shipper, 50)
        async with locked(postgres, table):
            active.append(b"".join(map(line_of, records(150, start=50))))
            assert "TimeoutError" in await until_away(shipper)
            await until_waiting(postgres, 0)  # The server does not keep waiting for nobody.
            await until_waiting(postgres, 1)
        await until_back(shipper)
        await until_shipped(shipper, 200)
        active.finish()
        await until_empty(tmp_path)
    await assert_books_agree(postgres, records(200))


async def test_a_restart_amid_a_copy(
    tmp_path: Path, data_dir: Path, own_server: EmbeddedPostgres
) -> None:
    dsn = await own_server.start()
    write_segment(tmp_path, 1, records(120))
    store = PostgresUsage(dsn)
    _ = await store.position("")
    async with shipping(tmp_path, store) as shipper:
        await until_shipped(shipper, 50)
        await until_empty(tmp_path)
        async with locked(dsn):
            write_segment(tmp_path, 2, records(300, start=120))
            await until_waiting(dsn, 1)  # The offset is moved, the COPY has begun.
            await own_server.stop()
        _ = await until_away(shipper)
        again = EmbeddedPostgres(data_dir, settings=HASTY)
        try:
            assert await again.start() == dsn
            await until_empty(tmp_path)
            await assert_books_agree(dsn, records(420))
        finally:
            await again.stop()


async def test_connections_run_out_while_it_ships(
    tmp_path: Path, own_server: EmbeddedPostgres
) -> None:
    """Its session is ended by an administrator, and others take all places before it is back."""
    dsn = await own_server.start()
    active = ActiveSegment(tmp_path, 1)
    others: list[asyncpg.Connection] = []
    async with shipping(tmp_path, PostgresUsage(dsn)) as shipper:
        active.append(b"".join(map(line_of, records(50))))
        await until_shipped(shipper, 50)
        with pytest.raises(asyncpg.TooManyConnectionsError):
            while True:
                others.append(await asyncpg.connect(dsn))
        await others[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND query LIKE '%COMMIT%'"
        )
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            others.append(await asyncpg.connect(dsn))
        active.append(b"".join(map(line_of, records(100, start=50))))
        _ = await until_away(shipper)
        await asyncio.gather(*(each.close() for each in others))
        await until_back(shipper)
        active.finish()
        await until_empty(tmp_path)
    await assert_books_agree(dsn, records(150))


async def test_a_session_that_was_given_up_ends_soon(data_dir: Path, template: Path) -> None:
    """Without that, each try would leave a session behind that waits in the same queue."""
    server = EmbeddedPostgres(data_dir, template=template)
    dsn = await server.start()
    await query(dsn, "CREATE TABLE wanted (n int)")
    async with locked(dsn, "wanted"):
        connection = await asyncpg.connect(dsn)
        waiting = asyncio.get_running_loop().create_task(connection.execute("TABLE wanted"))
        await until_waiting(dsn, 1)
        begun = monotonic()
        connection.terminate()
        await asyncio.gather(waiting, return_exceptions=True)
        await until_waiting(dsn, 0)
        assert monotonic() - begun < 10
    await server.stop()
