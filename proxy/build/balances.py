"""What was spent before a worker began to count in its own memory: asked of a child process.

Exact because of three things: the sums of the store and the positions of the spool are of one
moment (`usage/opening.py`); nobody else spends while we count, which a lock on a file says, held by
one worker for its life: its predecessor may still be finishing requests; and a budget that is not
known refuses. Where nothing was ever recorded nobody is asked.
"""

import asyncio
import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from proxy.base import clock
from proxy.base.jsonio import JSONError, dumps, loads
from proxy.base.periods import Span, before, span
from proxy.build.accounting import keeps_records, pulse_folder, spool_folder
from proxy.build.walls import rulebook, walls
from proxy.config.settings import Settings
from proxy.core.quota import Calendar, QuotaUnknown, Rule, Scope, ScopeKind, Spent, Wanted
from proxy.core.spending import known_as
from proxy.stores.postgres.private import has_data
from proxy.usage.holds_taken import Owner, take_over
from proxy.usage.segments import list_segments, sizes_of

_LONGEST_LINE = 256 * 1024 * 1024
_FAREWELL = 2.0
_SOURCE = Path(__file__).resolve().parents[2]


class SpentBefore:
    """The Balances of one worker. One question at a time."""

    def __init__(self, settings: Settings, worker: str) -> None:
        store = settings.store
        self._owner = Owner(worker, os.getpid())
        self._embedded = isinstance(store, str)
        self._data_dir = settings.data_dir
        self._spool = spool_folder(settings)
        self._lock_file = pulse_folder(settings) / "budgets.lock"
        self._lock: int | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._about: dict[str, Any] = {
            "store": None if isinstance(store, str) else store.reveal(),
            "data_dir": str(self._data_dir),
            "spool": str(self._spool),
            "worker": worker,
            "pid": os.getpid(),
            "began": int(clock.wall() * 1000),
        }

    async def prepare(self) -> None:
        """Start the process that is going to be asked: it takes as long as all that comes before
        the first question."""
        if not await asyncio.to_thread(self._nothing_recorded):
            with suppress(OSError):  # The first question tries again, and tells.
                _ = await self._living()

    async def spent(self, wanted: tuple[Wanted, ...]) -> Sequence[Spent]:
        """See Balances. Raises QuotaUnknown."""
        at = clock.wall()
        spans = [_spans(each.rule, at) for each in wanted]
        try:
            if not await asyncio.to_thread(self._counts_alone):
                raise QuotaUnknown("another worker still spends from the same budgets")
            # What it held when it died counts before anything is added up.
            _ = await asyncio.to_thread(take_over, self._spool, self._owner)
            if await asyncio.to_thread(self._nothing_recorded):
                return [Spent(0)] * len(wanted)
            questions = [_question(each, of) for each, of in zip(wanted, spans, strict=True)]
            answer = loads(await self._ask(dumps({**self._about, "questions": questions})))
        except (OSError, JSONError) as error:
            raise QuotaUnknown(str(error) or type(error).__name__) from error
        if "why_not" in answer:
            raise QuotaUnknown(answer["why_not"])
        return [_spent(of, *sums) for of, sums in zip(spans, answer["sums"], strict=True)]

    async def close(self) -> None:
        """End the child, and let another worker count."""
        child, self._child = self._child, None
        if child is not None and child.stdin is not None:
            child.stdin.close()
            try:
                async with asyncio.timeout(_FAREWELL):
                    await child.wait()
            except TimeoutError:
                await _end(child)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _counts_alone(self) -> bool:
        if self._lock is None:
            self._lock_file.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self._lock_file, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._lock = descriptor
        return True

    def _nothing_recorded(self) -> bool:
        written = sizes_of(list_segments(self._spool))
        # In this order: without a database nothing can have left the spool.
        return self._embedded and not any(written.values()) and not has_data(self._data_dir)

    async def _living(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._child is None or self._child.returncode is not None:
                self._child = await _start()
            return self._child

    async def _ask(self, line: bytes) -> bytes:
        child = await self._living()
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(line + b"\n")
            await child.stdin.drain()
            answer = await child.stdout.readline()
        except BaseException:
            # Whatever it says now would be taken for the answer to the next question.
            self._child = None
            await _end(child)
            raise
        if not answer.endswith(b"\n"):
            self._child = None
            await _end(child)
            raise QuotaUnknown("the process that reads them has ended")
        return answer


def balances(settings: Settings, worker: str) -> SpentBefore | None:
    """The balances of a worker; None where nothing is recorded, or where Redis has the counts."""
    if not keeps_records(settings) or settings.redis is not None:
        return None
    return SpentBefore(settings, worker)


def named_budgets(settings: Settings) -> Iterator[Rule]:
    """The budgets of all scopes that the configuration names: what can be fetched before anybody
    asks."""
    book = rulebook(settings)
    kinds: tuple[tuple[ScopeKind, Sequence[str]], ...] = (
        ("team", tuple(settings.teams)),
        ("user", tuple(settings.users)),
        ("project", tuple(settings.projects)),
        ("customer", tuple(settings.customers)),
        ("agent", tuple(settings.agents)),
        ("session", tuple(settings.sessions)),
        ("tag", tuple(settings.tags)),
        ("global", ("",)),
    )
    for kind, names in kinds:
        for name in names:
            around = book.walls(Scope(kind, name)) if name != "*" else None
            if around is not None:
                yield from around.budgets
    for name, model in settings.models.items():
        yield from walls(Scope("model", name), model.limits, model.budgets).budgets
    for name, provider in settings.providers.items():
        yield from walls(Scope("provider", name), provider.limits, provider.budgets).budgets
    for key in settings.keys:
        yield from walls(Scope("key", key.name), key.limits, key.budgets).budgets
        for pattern, each in key.model_limits.items():
            scope = Scope("key_model", f"{key.name}/{pattern}")
            yield from walls(scope, each.limits, each.budgets).budgets


def _spans(rule: Rule, at: float) -> tuple[Span, ...]:
    """The present window and, where their rests count, those before it."""
    window = rule.window
    assert isinstance(window, Calendar)  # Of money there is no other.
    spans = [span(window.period, window.zone, at)]
    for _ in range(window.expires if window.rollover else 0):
        earlier = before(window.period, window.zone, spans[-1])
        if earlier is not None:
            spans.append(earlier)
    return tuple(spans)


def _question(wanted: Wanted, spans: tuple[Span, ...]) -> tuple[object, ...]:
    scope = known_as(wanted.rule.scope)
    since = None if wanted.since is None else int(wanted.since * 1_000_000)
    return (*scope, [tuple(span) for span in spans], since)


def _spent(spans: tuple[Span, ...], sums: list[int], first: int | None) -> Spent:
    present, *earlier = sums
    known = [
        spent
        for of, spent in zip(spans[1:], earlier, strict=True)
        if first is not None and of.end is not None and first < of.end * 1_000_000
    ]
    return Spent(max(0, present), tuple(known))


async def _start() -> asyncio.subprocess.Process:
    isolation = await asyncio.to_thread(_isolation)
    command = [sys.executable, *isolation, "-m", "proxy.processes.launch"]
    command.append("proxy.build.balances_child")
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE
    )


def _isolation() -> list[str]:
    # As for the workers themselves: nothing in the working directory may pass for a library.
    try:
        return [] if Path.cwd() == _SOURCE else ["-P"]
    except FileNotFoundError:
        return ["-P"]


async def _end(child: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        child.kill()
    await child.wait()
