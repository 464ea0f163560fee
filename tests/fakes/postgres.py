"""A real PostgreSQL for tests: a server per test process, a fresh database per test.

    from tests.fakes.postgres import postgres, postgres_server      # in a conftest.py

    async def test_rows(postgres: str) -> None:                     # the URL of an empty, migrated
        connection = await asyncpg.connect(postgres)                # database of its own

`DATABASE_URL` names the server to use, by a user who may create databases; without it a private one
is started in a temporary folder. It lives on a loop of its own, in a thread that lasts as long as
the test process, so that the tests' loops may come and go. Never skips.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg
import pytest

from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.migrate import migrate
from tests.fakes.once import once

T = TypeVar("T")

HASTY = {"fsync": "off", "full_page_writes": "off"}
"""What a server may do whose data outlives processes, but need not outlive the machine."""


_SERVER = pytest.StashKey["Server"]()
_TEMPLATE = pytest.StashKey[Path]()


_MEMORY = Path("/dev/shm")
_ROOM = 2 * 1024**3
"""Bytes that must be free there: a container's may have room for no server at all."""


def in_memory() -> bool:
    """Whether servers may live in memory: disks make a database in a second, memory in 40 ms."""
    if not os.access(_MEMORY, os.W_OK):
        return False
    return shutil.disk_usage(_MEMORY).free >= _ROOM


def reachable_folder() -> Path:
    """A temporary folder that the user `nobody` may enter, unlike pytest's own."""
    place = _MEMORY if in_memory() else None
    folder = Path(tempfile.mkdtemp(prefix="llm-proxy-test-", dir=place))
    folder.chmod(0o755)
    return folder


def with_database(dsn: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


class Server:
    """A server to make databases on; a context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._folder: Path | None = None
        self._postgres: EmbeddedPostgres | None = None
        self._template = f"t{os.getpid()}_template"
        self._count = 0
        self._strategy = "wal_log"
        self.dsn = os.environ.get("DATABASE_URL", "")  # noqa: TID251 - the tests' own setting.

    def __enter__(self) -> "Server":
        self._thread.start()
        try:
            if not self.dsn:
                self._folder = reachable_folder()
                if self._folder.is_relative_to(_MEMORY):  # Its checkpoints cost nothing.
                    self._strategy = "file_copy"
                self._postgres = EmbeddedPostgres(self._folder, settings=HASTY)
                self.dsn = self._run(self._postgres.start)
            self._run(self._make_template)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.drop(self._template)
        self._close()

    def _close(self) -> None:
        if self._postgres is not None:
            self._run(self._postgres.stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._folder is not None:
            shutil.rmtree(self._folder)

    def create(self, template: str | None = None) -> str:
        """A new database; its name."""
        self._count += 1
        name = f"t{os.getpid()}_{self._count}"
        copied = template if template is not None else self._template
        self._execute(f"CREATE DATABASE {name} TEMPLATE {copied} STRATEGY {self._strategy}")
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever uses it."""
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        async def execute() -> None:
            connection = await asyncpg.connect(self.dsn)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        self._run(execute)

    async def _make_template(self) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(f"CREATE DATABASE {self._template} TEMPLATE template0")
        finally:
            await connection.close()
        connection = await asyncpg.connect(with_database(self.dsn, self._template))
        try:
            _ = await migrate(connection)
        finally:
            await connection.close()

    def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(timeout=60)


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The server of this test process, however many modules import this."""
    with once(pytestconfig, _SERVER, Server) as server:
        yield server


@pytest.fixture
def postgres(postgres_server: Server) -> Iterator[str]:
    """The URL of a database that is migrated, empty, and this test's own."""
    name = postgres_server.create()
    yield with_database(postgres_server.dsn, name)
    postgres_server.drop(name)


@pytest.fixture
def empty_postgres(postgres_server: Server) -> Iterator[str]:
    """The URL of a database without a schema."""
    name = postgres_server.create("template0")
    yield with_database(postgres_server.dsn, name)
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def template(pytestconfig: pytest.Config) -> Iterator[Path]:
    """A private cluster that was shut down: to begin with a copy of it is quicker than initdb."""
    with once(pytestconfig, _TEMPLATE, _shut_down_cluster) as cluster:
        yield cluster


@contextlib.contextmanager
def _shut_down_cluster() -> Iterator[Path]:
    folder = reachable_folder()

    async def make() -> None:
        server = EmbeddedPostgres(folder)
        _ = await server.start()
        await server.stop()

    asyncio.run(make())
    yield folder / "postgres/data"
    shutil.rmtree(folder)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data_dir that the user `nobody` may enter."""
    folder = reachable_folder()
    yield folder
    shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def tcp_door(dsn: str) -> AsyncIterator[int]:
    """A port of this machine that leads to the server, for proxies that speak TCP only."""
    parts = urlsplit(dsn)
    sockets = parse_qs(parts.query).get("host", [""])[0]

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if sockets.startswith("/"):
            far = await asyncio.open_unix_connection(f"{sockets}/.s.PGSQL.5432")
        else:
            far = await asyncio.open_connection(parts.hostname, parts.port or 5432)
        await asyncio.gather(carry(reader, far[1]), carry(far[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def through(dsn: str, port: int) -> str:
    """The same database, by a port of this machine."""
    parts = urlsplit(dsn)
    user = parts.netloc.rpartition("@")[0]
    return urlunsplit(("postgresql", f"{user}@127.0.0.1:{port}", parts.path, "sslmode=disable", ""))


async def query(dsn: str, text: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of one query, on a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(text, *values)]
    finally:
        await connection.close()
