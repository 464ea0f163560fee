"""One worker's service: start, reload, drain, stop."""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.base.clock import wall
from proxy.base.errors import OperatorError
from proxy.base.tasks import Tasks
from proxy.build.accounting import (
    hold_book,
    keeps_records,
    ledger,
    open_holds,
    open_spool,
    price_table,
    pricer,
    pulse_folder,
)
from proxy.build.balances import SpentBefore, balances, named_budgets
from proxy.build.gate import Stores, gate, stores
from proxy.build.health import resting_keys, sharing, standings, switches
from proxy.build.lookup import Lookup, lookup
from proxy.build.probes import asks
from proxy.build.rule_failures import rule_failures
from proxy.build.runtime import Built, build
from proxy.config.settings import TlsFiles
from proxy.config.snapshot import Snapshot
from proxy.routing.probes import Probes
from proxy.server.handler import Handler
from proxy.server.listener import HttpServer
from proxy.usage.most import Most
from proxy.usage.pulse import Pulse, beat
from proxy.usage.spool import Spool

if TYPE_CHECKING:
    from proxy.build.sharing import SharedBreakers
    from proxy.usage.holds_file import HoldsFile

log = logging.getLogger("llm-proxy.app")

_PATIENCE = 1.0  # Until what was spent before is known: rather a short wait than a refusal.


class App:
    """Serves one runtime at a time; a reload builds the next whole and swaps one reference."""

    def __init__(self, worker: str = "worker-0") -> None:
        self._worker = worker
        self._built: Built | None = None
        self._spool: Spool | None = None
        self._holds: HoldsFile | None = None
        self._stores: Stores | None = None
        self._balances: SpentBefore | None = None
        self._lookup: Lookup | None = None
        self._sharing: SharedBreakers | None = None
        self._probes: Probes | None = None
        self._handler: Handler | None = None
        self._server: HttpServer | None = None
        self._tasks = Tasks()

    async def start(
        self,
        snapshot: Snapshot,
        listener: socket.socket,
        last: Callable[[], object] = lambda: None,
    ) -> None:
        """Serve on a listening socket. `last`: what else is to be done before the first request.
        Raises OperatorError for files that cannot be used."""
        settings = snapshot.settings
        self._balances = balances(settings, self._worker)
        if self._balances is not None and next(named_budgets(settings), None) is not None:
            _ = self._tasks.spawn(self._balances.prepare(), name="what was spent")
        self._spool = spool = open_spool(settings, self._worker)
        if keeps_records(settings):
            await asyncio.to_thread(spool.open)
            self._holds = open_holds(settings, self._worker)
            await asyncio.to_thread(self._holds.open)
        self._stores = quotas = stores(settings, self._balances)
        # What was spent is found out by another process, while the rest is built here.
        self._expect(snapshot)
        _ = self._tasks.spawn(quotas.run(), name="limits and budgets")
        self._lookup = lookup(settings, self._forget_walls)
        if self._lookup is not None:
            await self._lookup.read()
        self._built = await self._build(snapshot, spool, quotas, None)
        self._built.healths.adopt()
        self._switch()
        self._sharing = sharing(settings, self._built.healths)
        if self._sharing is not None:
            _ = self._tasks.spawn(self._sharing.run(), name="open breakers")
        self._probes = Probes(self._built.healths)
        self._govern(snapshot)
        last()
        await quotas.known(_PATIENCE)
        self._handler = Handler(self._built.runtime)
        self._server = HttpServer(self._handler, settings.http_server)
        await self._server.start(listener, _tls(settings.tls))
        if self._lookup is not None:
            self._lookup.start()
        await self._probe(snapshot)
        _ = self._tasks.spawn(spool.run(), name="spool")
        _ = self._tasks.spawn(beat(pulse_folder(settings), self._worker, self._pulse), name="pulse")

    async def apply(self, snapshot: Snapshot) -> None:
        """Serve new requests by another configuration; those in flight keep theirs.

        Raises OperatorError, and then everything goes on as it was."""
        assert self._handler is not None and self._spool is not None  # Started.
        assert self._stores is not None
        old = self._built
        new = await self._build(snapshot, self._spool, self._stores, old)
        self._built = new
        new.healths.adopt()
        self._expect(snapshot)
        self._govern(snapshot)
        self._handler.runtime = new.runtime
        await self._probe(snapshot)
        if old is not None:
            new.replace(old)

    async def stop(self, grace: float) -> None:
        """Stop accepting, finish what is in flight for at most `grace` seconds, close."""
        if self._server is not None:
            await self._server.stop(grace)
        await self._tasks.cancel()
        if self._probes is not None:
            await self._probes.stop()
        if self._built is not None:
            self._built.close()
        if self._lookup is not None:
            await self._lookup.stop()
        if self._sharing is not None:
            await self._sharing.close()
        if self._stores is not None:
            await self._stores.close()
        if self._holds is not None:  # Before the budgets are free for another worker.
            await asyncio.to_thread(self._holds.close)
        if self._balances is not None:
            await self._balances.close()
        if self._spool is not None:
            await asyncio.to_thread(self._spool.close)

    async def _build(
        self, snapshot: Snapshot, spool: Spool, stores: Stores, old: Built | None
    ) -> Built:
        def work() -> Built:
            settings = snapshot.settings
            prices = pricer(settings, price_table(settings))
            accounts = ledger(settings, prices, spool, self._worker)
            stored = self._lookup
            book = stored.walls if stored is not None else None
            holds = self._holds
            kept = hold_book(settings, prices, holds, self._worker) if holds is not None else None
            most = Most(prices)
            walls = gate(settings, stores, most, book, kept)
            return build(snapshot, accounts, old, walls, stored, prices=most)

        try:  # In a thread: certificates and prices are files, read in tens of milliseconds.
            return await asyncio.to_thread(work)
        except (OSError, ValueError) as error:
            raise OperatorError(f"the configuration cannot be used: {error}") from error

    def _expect(self, snapshot: Snapshot) -> None:
        if self._balances is not None and self._stores is not None:
            self._stores.expect(named_budgets(snapshot.settings))

    def _govern(self, snapshot: Snapshot) -> None:
        if self._lookup is not None:
            self._lookup.govern(snapshot.settings)

    async def _probe(self, snapshot: Snapshot) -> None:
        """Ask providers how they are, as the configuration in force says."""
        if self._probes is not None and self._built is not None:
            asking = asks(snapshot.settings, self._worker)
            await self._probes.apply(self._built.probes if asking else ())

    def _forget_walls(self) -> None:
        """Walls of the store have changed."""
        gate = self._built.runtime.gate if self._built is not None else None
        if gate is not None:
            gate.forget()
        self._switch()

    def _switch(self) -> None:
        """Do as operators say of targets and providers."""
        if self._lookup is not None and self._built is not None:
            self._built.healths.switch(switches(self._lookup.walls.switches))

    def _pulse(self, lag: float) -> Pulse:
        assert self._handler is not None and self._spool is not None  # Started.
        assert self._built is not None
        return Pulse(
            worker=self._worker,
            pid=os.getpid(),
            at=wall(),
            config=self._handler.runtime.version,
            in_flight=self._handler.in_flight,
            loop_lag=lag,
            spool_failing=self._spool.failing,
            spool_lost=self._spool.lost,
            spool_waiting=self._spool.waiting,
            queue=self._stores.room.waiting if self._stores is not None else 0,
            queued=self._stores.queued() if self._stores is not None else {},
            quota_failing=self._stores.failing() if self._stores is not None else None,
            keys_failing=self._lookup.callers.why_not() if self._lookup is not None else None,
            unready=self._lookup.walls.why_not() if self._lookup is not None else None,
            targets=standings(self._built.healths),
            keys=resting_keys(self._built.runtime),
            rules=rule_failures(self._built.runtime),
            tasks=len(asyncio.all_tasks()),
        )


def _tls(files: TlsFiles) -> ssl.SSLContext | None:
    if files.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key)
    except OSError as error:
        raise OperatorError(f"tls: the certificate cannot be used: {error}") from error
    return context
