"""A private PostgreSQL below data_dir: `store: embedded`.

A child process that cannot outlive us: it shuts down fast when we die, is started again when it
dies, and recovers by itself after `kill -9` of either. It listens on a Unix socket only. To be run
by one process, which is not the one that collects all children (`waitpid(-1)`): that is control.

    server = EmbeddedPostgres(data_dir)
    dsn = await server.start()      # raises NoPostgres, with what the operator can do, or InUse
    await server.stop()
"""

import asyncio
import logging
import os
import shutil
import signal
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import asyncpg

from proxy.base.clock import monotonic
from proxy.base.tasks import Tasks
from proxy.stores.postgres.account import account
from proxy.stores.postgres.children import Children, end
from proxy.stores.postgres.cluster import DATABASE, USER, Cluster, address
from proxy.stores.postgres.nameless import nameless_initdb
from proxy.stores.postgres.programs import InUse, NoPostgres, Programs, find, places

log = logging.getLogger("llm-proxy.postgres")

_ORPHAN_PATIENCE = (
    (5.0, signal.SIGINT),
    (30.0, signal.SIGQUIT),
    (5.0, signal.SIGKILL),
    (5.0, None),
)
_READY_PATIENCE = 300.0  # Recovery after a crash takes as long as there is log to replay.
_POLL = 0.02
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0

_NOT_YET = (
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # A server that dies between two messages confuses asyncpg.
)

T = TypeVar("T")


class EmbeddedPostgres:
    """One server. `template`: a stopped cluster to begin with instead of an empty one; `settings`:
    PostgreSQL's, in addition to ours or instead of them; `patience`: seconds to wait until another
    process of ours is done with the server."""

    def __init__(
        self,
        data_dir: Path,
        *,
        template: Path | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        patience: float = 15.0,
    ) -> None:
        self._cluster = Cluster(data_dir.absolute() / "postgres", account())
        self._template = template
        self._settings = settings
        self._patience = patience
        self._children = Children(self._cluster.account)
        self._programs: Programs | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._owner: int | None = None
        self._sockets: Path | None = None
        self._said: deque[str] = deque(maxlen=20)
        self._tasks = Tasks()
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The process id of the server, while one runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> str:
        """Start the server, made anew if there is none; return its address. Raises NoPostgres."""
        await asyncio.to_thread(self._cluster.prepare)
        self._owner = await self._wait_for(self._cluster.own, self._patience)
        if self._owner is None:
            owner = await asyncio.to_thread(self._cluster.owner)
            raise InUse(f"another llm-proxy (pid {owner}) runs PostgreSQL in {self._cluster.root}")
        try:
            await self._children.make_way(self._cluster.root)
            await self._launch()
        except BaseException:
            await self.stop()
            raise
        assert self._sockets is not None
        _ = self._tasks.spawn(self._keep(), name="postgres")
        return address(self._sockets)

    async def stop(self) -> None:
        """Shut down fast and clean. Harmless when it does not run."""
        await self._tasks.cancel()
        if self._process is not None:
            await end(self._process)
            self._process = None
        if self._sockets is not None:
            with suppress(OSError):
                await asyncio.to_thread(self._sockets.rmdir)
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    async def _keep(self) -> None:
        """Start the server again whenever it ends."""
        pause = _SHORTEST_PAUSE
        while self._process is not None:
            code = await self._process.wait()
            log.error("PostgreSQL ended (exit code %d): %s", code, self._last_words())
            self.restarts += 1
            while True:
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
                try:
                    await self._launch()
                except (NoPostgres, OSError) as error:
                    log.error("PostgreSQL cannot be started again: %s", error)  # noqa: TRY400
                else:
                    pause = _SHORTEST_PAUSE
                    log.warning("PostgreSQL runs again")
                    break

    async def _launch(self) -> None:
        running = await self._wait_out_orphan()
        self._said.clear()
        try:
            await self._make()
            assert self._programs is not None
            before = self._sockets
            self._sockets = await asyncio.to_thread(self._cluster.clear, before)
            arguments = self._cluster.command(self._sockets, self._programs.major, self._settings)
            self._process = await self._children.spawn(
                self._programs.folder / "postgres", *arguments, keep=(running,)
            )
        finally:
            os.close(running)  # From now on the server alone holds the lock.
        assert self._process.stderr is not None
        said = self._tasks.spawn(self._listen(self._process.stderr), name="postgres log")
        if not await self._ready(self._process, self._sockets):
            await end(self._process)
            await asyncio.wait({said}, timeout=1)
            raise NoPostgres(f"PostgreSQL did not start: {self._last_words()}")

    async def _make(self) -> None:
        major = await asyncio.to_thread(self._cluster.major)
        if self._programs is None:
            among = await asyncio.to_thread(places)
            self._programs = await find(self._children.run, self._cluster.root, major, among)
        if major is not None:
            return
        if self._template is not None:
            await asyncio.to_thread(self._cluster.copy, self._template)
        else:
            folder = await asyncio.to_thread(self._cluster.begin)
            code, said = await self._children.run(
                await asyncio.to_thread(self._initdb),
                *("-D", str(folder), "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C"),
                *("--data-checksums", "--no-instructions"),
            )
            if code != 0:
                raise NoPostgres(f"initdb failed: {said.strip()}")
        await asyncio.to_thread(self._cluster.finish)
        await asyncio.to_thread(shutil.rmtree, self._cluster.nameless, ignore_errors=True)
        log.info("made a PostgreSQL %s cluster in %s", self._programs.version, self._cluster.data)

    def _initdb(self) -> Path:
        assert self._programs is not None
        if self._cluster.account.named:
            return self._programs.folder / "initdb"
        return nameless_initdb(self._programs, self._cluster.nameless)

    async def _wait_out_orphan(self) -> int:
        """The lock of the running server, once no process of an earlier one is left."""
        for patience, number in _ORPHAN_PATIENCE:
            held = await self._wait_for(self._running, patience)
            if held is not None:
                return held
            if number is not None:
                await asyncio.to_thread(self._cluster.tell_orphan, number)
        raise NoPostgres(f"an earlier PostgreSQL in {self._cluster.data} does not end")

    def _running(self) -> int | None:
        return self._cluster.lock("running")

    async def _wait_for(self, take: Callable[[], T | None], patience: float) -> T | None:
        until = monotonic() + patience
        while True:
            got = await asyncio.to_thread(take)
            if got is not None or monotonic() >= until:
                return got
            await asyncio.sleep(_POLL)

    async def _ready(self, process: asyncio.subprocess.Process, sockets: Path) -> bool:
        until = monotonic() + _READY_PATIENCE
        while process.returncode is None and monotonic() < until:
            try:
                await _ensure_database(sockets)
            except (OSError, *_NOT_YET):
                await asyncio.sleep(_POLL)
            except asyncpg.PostgresError as error:
                self._said.append(str(error))
                return False
            else:
                return True
        return False

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(8192):
            for line in data.decode(errors="replace").splitlines():
                self._said.append(line)
                log.log(_severity(line), "postgres: %s", line)

    def _last_words(self) -> str:
        return " / ".join(self._said) or "it said nothing"


async def _ensure_database(sockets: Path) -> None:
    connection = await asyncpg.connect(address(sockets, "postgres"), timeout=10)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()


def _severity(line: str) -> int:
    if line.startswith("FATAL:  the database system is "):
        return logging.DEBUG  # Somebody knocked while it starts or stops.
    if line.startswith(("FATAL:", "PANIC:")):
        return logging.ERROR
    return logging.WARNING if line.startswith("ERROR:") else logging.DEBUG
