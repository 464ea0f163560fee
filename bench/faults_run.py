"""One fault run from its start to its verdict; `faults.py` is the command around it.

Start everything, send the load while faults are done to it, wait until the spool is empty, compare.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.children import ChildFailed
from bench.faults_answers import Book
from bench.faults_audit import Books, Verdict, count_rows, judge, read_books
from bench.faults_load import Load, Pace
from bench.faults_plan import Done, Faults, draw
from bench.faults_proxy import Proxy
from bench.faults_requests import asks
from bench.faults_show import Progress
from proxy.base.clock import monotonic
from proxy.base.tasks import Tasks

_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
_LOOK = 0.25
_QUIET_LOOKS = 4
_READ_TRIES = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run is. `stopped`: how long PostgreSQL stands still, `drain`: how long the spool
    may take to empty, both in seconds."""

    pace: Pace
    kills: int = 10
    keys: int = 64
    seed: int = 1
    stopped: float = 3.0
    drain: float = 180.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run found. `most_behind`: the most records seen waiting; `log`: its end."""

    book: Book
    verdict: Verdict
    done: list[Done]
    times: dict[str, float]
    most_behind: int
    dead_letters: int
    drained: bool
    log: str


class _Run:
    def __init__(self, plan: Plan, proxy: Proxy) -> None:
        self._plan = plan
        self._proxy = proxy
        self._book = Book()
        self._tasks = Tasks()
        self._progress = Progress(plan.pace.requests)
        self._behind: int | None = None
        self._most_behind = 0
        self._dead = 0

    async def run(self) -> Outcome:
        began = monotonic()
        await self._proxy.ready()
        started = monotonic()
        plan = self._plan
        host = f"127.0.0.1:{self._proxy.port}"
        ordered = asks(host, plan.keys, plan.seed)
        load = Load(self._proxy.port, ordered, plan.pace, self._book)
        steps = draw(plan.pace.requests, plan.kills, plan.seed)
        faults = Faults(self._proxy, load, steps, stopped=plan.stopped)
        async with self._watched(faults):
            await _together(load, faults)
            loaded = monotonic()
            drained = await self._drain()
        books = await self._read()
        ended = monotonic()
        return Outcome(
            self._book,
            judge(self._book, books),
            faults.done,
            {"start": started - began, "load": loaded - started, "drain": ended - loaded},
            self._most_behind,
            self._dead,
            drained,
            self._proxy.complaints(),
        )

    @contextlib.asynccontextmanager
    async def _watched(self, faults: Faults) -> AsyncIterator[None]:
        _ = self._tasks.spawn(self._watch(faults), name="watch")
        try:
            yield
        finally:
            await self._tasks.cancel()
            self._tell(faults, now=True)
            self._progress.end()

    async def _watch(self, faults: Faults) -> None:
        while True:
            await self._look()
            self._tell(faults)
            await asyncio.sleep(_LOOK)

    def _tell(self, faults: Faults, *, now: bool = False) -> None:
        counted = f"{len(faults.done)}/{faults.total}"
        self._progress.show(self._book.finished, counted, self._behind, now=now)

    async def _look(self) -> bool:
        """Ask control how far the spool is; whether it is empty."""
        shipping = await self._proxy.shipping()
        if shipping is None:
            self._behind = None
            return False
        self._behind = shipping.behind_records
        self._most_behind = max(self._most_behind, shipping.behind_records)
        self._dead = max(self._dead, shipping.dead)
        return shipping.store_up and shipping.behind_bytes == 0

    async def _drain(self) -> bool:
        """Return when nothing has waited and no row has come for some looks, or time is up."""
        until = monotonic() + self._plan.drain
        rows, quiet = -1, 0
        while quiet < _QUIET_LOOKS:
            if monotonic() > until:
                return False
            before, rows = rows, await self._count()
            empty = await self._look()
            quiet = quiet + 1 if empty and rows == before and rows >= 0 else 0
            await asyncio.sleep(_LOOK)
        return True

    async def _count(self) -> int:
        """Rows in the store, -1 while it is away."""
        address = await self._proxy.database()
        try:
            return await count_rows(address) if address is not None else -1
        except _AWAY:
            return -1

    async def _read(self) -> Books:
        for _ in range(_READ_TRIES):
            address = await self._proxy.database()
            try:
                if address is not None:
                    return await read_books(address)
            except _AWAY:
                self._behind = None
            await asyncio.sleep(_LOOK)
        raise ChildFailed("the store cannot be read")


async def _together(load: Load, faults: Faults) -> None:
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(load.run())
            both.create_task(faults.run())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures


async def run(plan: Plan, stack: ExitStack, folder: Path) -> Outcome:
    """Run it; what it starts ends with the stack. Raises ChildFailed."""
    proxy = Proxy(stack, folder, plan.keys)
    try:
        return await _Run(plan, proxy).run()
    except ChildFailed as failure:
        raise ChildFailed(f"{failure}\nThe proxy {proxy.complaints()}") from failure
