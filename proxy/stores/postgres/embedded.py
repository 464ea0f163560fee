"""A private PostgreSQL below data_dir: `store: embedded`.

A child process that cannot outlive us: it shuts down fast when we die, is started again when it
dies, and recovers by itself after `kill -9` of either. It listens on a Unix socket only. To be run
by one process, which is not the one that collects all children (`waitpid(-1)`): that is control.

    server = EmbeddedPostgres(data_dir)
    dsn = await server.start()      # raises NoPostgres, with what the operator can do
    await server.stop()
"""

import asyncio
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import asyncpg

from proxy.base.clock import monotonic
from proxy.base.tasks import Tasks
from proxy.stores.postgres import launch
from proxy.stores.postgres.account import account
from proxy.stores.postgres.cluster import DATABASE, USER, Cluster, address
from proxy.stores.postgres.programs import NoPostgres, Programs, find, places

log = logging.getLogger("llm-proxy.postgres")

_LAUNCH = str(Path(launch.__file__).resolve())
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
_OWNER_PATIENCE = 15.0  # Until the process before us has gone.
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
)

T = TypeVar("T")


class EmbeddedPostgres:
    """One server. `template`: a stopped cluster to begin with instead of an empty one; `settings`:
    PostgreSQL's, in addition to ours or instead of them."""

    def __init__(
        self,
        data_dir: Path,
        *,
        template: Path | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._cluster = Cluster(data_dir.absolute() / "postgres", account())
        self._template = template
        self._settings = settings
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
        self._owner = await self._wait_for(self._own, _OWNER_PATIENCE)
        if self._owner is None:
            raise NoPostgres(f"another llm-proxy runs PostgreSQL in {self._cluster.root}")
        try:
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
            await _end(self._process)
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
            self._process = await self._spawn(
                self._programs.folder / "postgres", *arguments, keep=(running,)
            )
        finally:
            os.close(running)  # From now on the server alone holds the lock.
        assert self._process.stderr is not None
        said = self._tasks.spawn(self._listen(self._process.stderr), name="postgres log")
        if not await self._ready(self._process, self._sockets):
            await _end(self._process)
            await asyncio.wait({said}, timeout=1)
            raise NoPostgres(f"PostgreSQL did not start: {self._last_words()}")

    async def _make(self) -> None:
        major = await asyncio.to_thread(self._cluster.major)
        if self._programs is None:
            among = await asyncio.to_thread(places)
            self._programs = await find(self._run, self._cluster.root, major, among)
        if major is not None:
            return
        if self._template is not None:
            await asyncio.to_thread(self._cluster.copy, self._template)
        else:
            folder = await asyncio.to_thread(self._cluster.begin)
            code, said = await self._run(
                self._programs.folder / "initdb",
                *("-D", str(folder), "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C"),
                *("--data-checksums", "--no-instructions"),
            )
            if code != 0:
                raise NoPostgres(f"initdb failed: {said.strip()}")
        await asyncio.to_thread(self._cluster.finish)
        log.info("made a PostgreSQL %s cluster in %s", self._programs.version, self._cluster.data)

    async def _wait_out_orphan(self) -> int:
        """The lock of the running server, once no process of an earlier one is left."""
        for patience, number in _ORPHAN_PATIENCE:
            held = await self._wait_for(self._running, patience)
            if held is not None:
                return held
            if number is not None:
                await asyncio.to_thread(self._cluster.tell_orphan, number)
        raise NoPostgres(f"an earlier PostgreSQL in {self._cluster.data} does not end")

    def _own(self) -> int | None:
        return self._cluster.lock("owner")

    def _running(self) -> int | None:
        return self._cluster.lock("running")

    async def _wait_for(self, take: Callable[[], T | None], patience: float) -> T | None:
        until = monotonic() + patience
        while True:
            got = await asyncio.to_thread(take)
            if got is not None or monotonic() >= until:
                return got
            await asyncio.sleep(_POLL)

    async def _run(self, program: Path, *arguments: str) -> tuple[int, str]:
        process = await self._spawn(program, *arguments)
        try:
            out, err = await process.communicate()
        except BaseException:
            await _end(process)
            raise
        assert process.returncode is not None
        return process.returncode, (out + err).decode(errors="replace")

    async def _spawn(
        self, program: Path, *arguments: str, keep: tuple[int, ...] = ()
    ) -> asyncio.subprocess.Process:
        # On the loop's own thread: Linux tells the child when the *thread* that made it ends.
        owner = self._cluster.account
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", _LAUNCH, str(os.getpid()), f"{owner.uid}:{owner.gid}"),
            *(str(program), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if not keep else asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
            pass_fds=keep,
            process_group=0,  # A Ctrl-C at the terminal is for us, who end it in our order.
        )

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


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGINT is a fast shutdown, SIGQUIT an immediate one. Harmless when it has ended."""
    for number, patience in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError):
            process.send_signal(number)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                _ = await process.wait()
                return


def _severity(line: str) -> int:
    if line.startswith("FATAL:  the database system is "):
        return logging.DEBUG  # Somebody knocked while it starts or stops.
    if line.startswith(("FATAL:", "PANIC:")):
        return logging.ERROR
    return logging.WARNING if line.startswith("ERROR:") else logging.DEBUG
