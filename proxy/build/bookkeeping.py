"""Control's side of accounting: the store, the shipper that fills it, and what is dropped by age.

The store may be away at any time, also at the start: records wait in the spool, and everything here
tries again. Nothing that a request needs depends on it.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from proxy.base.clock import wall
from proxy.base.secret import Secret
from proxy.base.tasks import Tasks
from proxy.core.accounting import StoreAway
from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.programs import InUse, NoPostgres
from proxy.stores.postgres.usage import PostgresUsage
from proxy.usage.shipper import Shipper, ShipperState

log = logging.getLogger("llm-proxy.bookkeeping")

_LET_WORKERS_START = 1.0  # Seconds: making a database would take their processor time.
_STARTING = "the store is being started"
_AGAIN_SOON = 0.5
_AGAIN = 30.0
_PATIENCE = 1.0  # Until it is told that a command has the server.
_EVERY_HOUR = 3600.0


class Bookkeeping:
    """Ships one spool to one store for as long as control lives."""

    def __init__(self, store: str | Secret, data_dir: Path, spool: Path, retention: float) -> None:
        self._store = store
        self._data_dir = data_dir
        self._spool = spool
        self.retention = retention
        self.address: str | None = None  # Of the store, once there is one.
        self._embedded: EmbeddedPostgres | None = None
        self._usage: PostgresUsage | None = None
        self._shipper: Shipper | None = None
        self._why_not: str | None = _STARTING
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin, in the background."""
        _ = self._tasks.spawn(self._run(), name="bookkeeping")

    async def stop(self) -> None:
        """Stop shipping; what is left waits in the spool."""
        await self._tasks.cancel()
        if self._usage is not None:
            await self._usage.close()
        if self._embedded is not None:
            await self._embedded.stop()

    def state(self) -> ShipperState | None:
        """The shipper's state, once there is a store to ship to."""
        return self._shipper.state() if self._shipper is not None else None

    @property
    def is_starting(self) -> bool:
        """Whether we are starting the store, and nothing has gone wrong with that."""
        return self.address is None and self._why_not == _STARTING

    @property
    def server(self) -> int | None:
        """The process id of the store, while it is one of ours and runs."""
        return self._embedded.pid if self._embedded is not None else None

    def why_not(self) -> str | None:
        """Why the store cannot be used now, or None."""
        state = self.state()
        return self._why_not if state is None else state.reason

    async def _run(self) -> None:
        if not isinstance(self._store, Secret):
            await asyncio.sleep(_LET_WORKERS_START)
        dsn = await self._address()
        self.address = dsn
        self._usage = usage = PostgresUsage(dsn)
        self._shipper = shipper = Shipper(self._spool, usage)
        _ = self._tasks.spawn(self._drop_old(usage), name="retention")
        await shipper.run()

    async def _address(self) -> str:
        if isinstance(self._store, Secret):
            return self._store.reveal()
        pause = _AGAIN_SOON
        while True:
            embedded = EmbeddedPostgres(self._data_dir, patience=_PATIENCE)
            try:
                dsn = await embedded.start()
            except (NoPostgres, OSError) as error:
                if str(error) != self._why_not:
                    log.error("no store: %s; usage records wait in %s", error, self._spool)  # noqa: TRY400
                self._why_not = str(error)
                if not isinstance(error, InUse):  # A command has it: take it as soon as it ends.
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _AGAIN)
            except Exception:
                # A server that dies while it starts can fail a client in any way. Whatever it was,
                # records must not wait for a restart of control.
                log.exception("the store could not be started; trying again")
                await asyncio.sleep(pause)
                pause = min(2 * pause, _AGAIN)
            else:
                self._embedded = embedded
                return dsn

    async def _drop_old(self, usage: PostgresUsage) -> None:
        while True:
            before = datetime.fromtimestamp(wall(), UTC) - timedelta(seconds=self.retention)
            try:
                dropped = await usage.drop_partitions(before.date())
            except StoreAway:
                await asyncio.sleep(_AGAIN)
                continue
            if dropped:
                log.info("dropped the usage records of %d days", len(dropped))
            await asyncio.sleep(_EVERY_HOUR)
