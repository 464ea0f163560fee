"""The process that finds out what was spent before: a child of the worker, one line per question.

It reads the database and the spool, so that the worker loads no library for that and its loop does
not wait for files. Each line on its input (`Asked`) is answered by one line on its output:
`{"sums": [[[spent, ...], first], ...]}`, or `{"why_not": reason}`.

It ends with its input, when its parent dies, and when nothing was asked for a while.
"""

import asyncio
import os
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.base.jsonio import dumps, loads
from proxy.base.periods import Span
from proxy.core.accounting import StoreAway
from proxy.core.quota import Scope
from proxy.core.spending import Question, Shipped, Sums
from proxy.stores.postgres.balances import PostgresBalances
from proxy.stores.postgres.private import has_data
from proxy.usage.opening import OpenedSpool
from proxy.usage.opening_sums import Adding
from proxy.usage.segments import Segment

_IDLE = 600.0  # Seconds. Requests wait a moment for an answer, not for a process to start.
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One line of input."""

    store: str | None  # None: the private server of data_dir.
    data_dir: Path
    spool: Path
    worker: str
    pid: int
    began: int  # Milliseconds: segments of this worker and pid are its own from then on.
    questions: tuple[Question, ...]

    @classmethod
    def of(cls, line: bytes) -> "Asked":
        said: dict[str, Any] = loads(line)
        return cls(
            said["store"],
            Path(said["data_dir"]),
            Path(said["spool"]),
            said["worker"],
            said["pid"],
            said["began"],
            tuple(
                Question(Scope(kind, name), tuple(Span(*span) for span in spans), since)
                for kind, name, spans, since in said["questions"]
            ),
        )

    def owns(self, segment: Segment) -> bool:
        """Whether the worker that asks writes this segment."""
        worker, _, pid, _ = segment.name.rsplit("-", 3)
        return (worker, pid) == (self.worker, str(self.pid)) and segment.begun >= self.began


class Answering:
    """Answers questions, one at a time."""

    def __init__(self) -> None:
        self._address: str | None = None
        self._store: PostgresBalances | None = None

    async def answer(self, asked: Asked) -> Sequence[Sums]:
        """What was spent. Raises StoreAway, OSError."""
        spool = OpenedSpool(asked.spool)
        try:
            await asyncio.to_thread(spool.look)
            # After the spool was opened: as long as there is no database nothing leaves the spool.
            address = await asyncio.to_thread(_address, asked)
            if address is None:
                found = _nothing(asked.questions)
            else:
                found = await self._shipped(address, asked.questions, spool.id)
            await asyncio.to_thread(_add, asked, found, spool)
        finally:
            spool.close()
        return found.sums

    async def _shipped(
        self, address: str, questions: Sequence[Question], spool: str | None
    ) -> Shipped:
        if self._store is None or address != self._address:
            await self.close()
            self._address, self._store = address, PostgresBalances(address)
        try:
            async with asyncio.timeout(_PATIENCE):
                return await _asked_twice(self._store, questions, spool)
        except TimeoutError:
            raise StoreAway(f"no answer within {_PATIENCE:.0f} s") from None

    async def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            await self._store.close()
            self._store = None


async def _asked_twice(
    store: PostgresBalances, questions: Sequence[Question], spool: str | None
) -> Shipped:
    """A connection that was kept may be one to a server that was restarted since: then anew."""
    kept = store.connected
    try:
        return await store.shipped(questions, spool)
    except StoreAway:
        if not kept:
            raise
    return await store.shipped(questions, spool)


def _address(asked: Asked) -> str | None:
    """Of the database; None where none was ever made. Raises StoreAway."""
    if asked.store is not None:
        return asked.store
    if not has_data(asked.data_dir):
        return None
    # Where there is no private server nothing is loaded that finds one.
    from proxy.stores.postgres.cluster import running_address  # noqa: PLC0415

    address = running_address(asked.data_dir)
    if address is None:
        raise StoreAway("the private PostgreSQL does not run yet")
    return address


def _add(asked: Asked, found: Shipped, spool: OpenedSpool) -> None:
    spool.look()
    Adding(asked.questions, found.sums).add(spool.records(found.positions, asked.owns))


def _nothing(questions: Sequence[Question]) -> Shipped:
    return Shipped([Sums([0] * len(question.spans)) for question in questions], {})


async def _line(answering: Answering, asked: Asked) -> bytes:
    try:
        sums = await answering.answer(asked)
    except (StoreAway, OSError) as error:
        return dumps({"why_not": str(error)})
    return dumps({"sums": [[each.spans, each.first] for each in sums]})


def main() -> None:
    """The entry point of the process; only a worker calls it."""
    answering = Answering()
    lines, answers = sys.stdin.buffer, sys.stdout.buffer
    with asyncio.Runner() as runner:
        while select.select([lines], [], [], _IDLE)[0] and (line := lines.readline()):
            # Between two questions nothing runs here: there is nothing to be done.
            answers.write(runner.run(_line(answering, Asked.of(line))) + b"\n")
            answers.flush()
        runner.run(answering.close())
    # The parent may be gone, and with it whoever read the last answer.
    os._exit(0)


if __name__ == "__main__":
    main()
