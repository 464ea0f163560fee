"""Keeps the directory's file as the store is, in control: builds it, then writes what changes.

It asks the store whenever there may be changes, and every few seconds in any case, so that the file
tells how old its knowledge is. While the store is away the file stays as it is; nothing that is in
it is ever taken back because the store cannot be asked.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from proxy.base.clock import monotonic, wall
from proxy.base.tasks import Tasks
from proxy.core.accounting import StoreAway
from proxy.core.identity import IdentityFeed
from proxy.stores.directory.file import Unusable
from proxy.stores.directory.in_turn import InTurn
from proxy.stores.directory.writer import DirectoryWriter

log = logging.getLogger("llm-proxy.directory")

_ASK = 5.0  # Seconds.
_LOOK = 0.5  # Until it is seen that the file is gone: workers that start meanwhile serve nobody.
_LATE = 10.0  # Without an answer for so much longer than it takes to ask: that is worth telling.


@dataclass(frozen=True, slots=True)
class DirectoryState:
    """How the file stands. `seq`: the last change in it, None before it was first whole.
    `age`: seconds since the store last answered, None if it never did.
    `reason`: why it is not as the store is, or None."""

    seq: int | None
    age: float | None
    reason: str | None


class DirectoryKeeper:
    """Follows a store for as long as control lives."""

    def __init__(self, feed: IdentityFeed, writer: DirectoryWriter, *, ask: float = _ASK) -> None:
        """`ask`: seconds after which the store is asked though nothing was heard."""
        self._feed = feed
        self._writer = writer
        self._ask = ask
        self._news = asyncio.Event()
        self._in_thread = InTurn()
        self._tasks = Tasks()
        self._seq: int | None = None
        self._asked: float | None = None
        self._reason: str | None = "the store has not been asked yet"
        self._tried = asyncio.Event()

    def start(self) -> None:
        """Begin, in the background."""
        self._news.set()
        _ = self._tasks.spawn(self._feed.follow(self._news.set), name="directory news")
        _ = self._tasks.spawn(self._run(), name="directory")

    async def tried(self, patience: float) -> None:
        """Return when the store was asked once, whatever came of it, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._tried.wait()

    async def stop(self) -> None:
        """Let go of the store and the file."""
        await self._tasks.cancel()
        await self._in_thread(self._writer.close)

    def state(self) -> DirectoryState:
        """How the file stands now."""
        age = max(0.0, wall() - self._asked) if self._asked is not None else None
        reason = self._reason
        if reason is None and age is not None and age > self._ask + _LATE:
            reason = f"the store has not said for {age:.0f} s whether keys changed"
        return DirectoryState(self._seq, age, reason)

    async def _run(self) -> None:
        while True:
            await self._wait()
            self._news.clear()
            await self._catch_up()
            self._tried.set()

    async def _wait(self) -> None:
        """Return at news, when the file has been lost, or when the store is to be asked anyway."""
        until = monotonic() + self._ask
        while (left := until - monotonic()) > 0:
            try:
                async with asyncio.timeout(min(left, _LOOK)):
                    await self._news.wait()
            except TimeoutError:
                if not await self._in_thread(self._writer.is_lost):
                    continue
            return

    async def _catch_up(self) -> None:
        try:
            await self._write()
        except StoreAway as error:
            self._fails(f"the store cannot be asked for keys: {error}", logging.INFO)
        except Unusable as error:
            self._fails(f"the directory of keys cannot be written: {error}", logging.ERROR)
        except Exception as error:
            # Whoever stopped following would let revoked keys in for ever.
            log.exception("following the store failed; trying again")
            self._reason = f"following the store failed: {type(error).__name__}"
        else:
            self._asked = wall()
            if self._reason is not None:
                log.info("keys are as in the store, up to change %d", self._seq)
            self._reason = None

    def _fails(self, reason: str, level: int) -> None:
        if reason != self._reason:
            if self._seq is None:  # Nothing was ever written here, so workers may serve nothing.
                log.log(max(level, logging.WARNING), "%s; workers know nothing of it yet", reason)
            else:
                log.log(level, "%s; workers go on with what they know", reason)
        self._reason = reason

    async def _write(self) -> None:
        self._seq = await self._in_thread(self._writer.position)
        more = True
        while more:
            if self._seq is None:
                self._seq = await self._build()
            changes = await self._feed.changes(self._seq)
            if changes.lost:
                log.warning("the store is another one, or an older state of it: starting over")
                self._seq = None
                continue
            if changes.seq != self._seq:
                await self._in_thread(lambda: self._writer.apply(changes))  # noqa: B023
            else:
                await self._in_thread(self._writer.asked)
            self._seq = changes.seq
            more = changes.more

    async def _build(self) -> int:
        async with self._feed.snapshot() as snapshot:
            try:
                await self._in_thread(self._writer.begin)
                async for batch in snapshot.batches:
                    await self._in_thread(lambda: self._writer.add(batch))  # noqa: B023
                await self._in_thread(lambda: self._writer.finish(snapshot.seq))
            except Exception:  # Whatever it was: what is begun must not stay open.
                await self._in_thread(self._writer.give_up)
                raise
        return snapshot.seq
