"""One control process's service: bookkeeping, telemetry and the admin port.

Traffic needs none of it. What fails here is told, and tried again, while workers go on writing to
the spool.
"""

import asyncio
import logging
import os
import platform
import sys
from collections.abc import Coroutine, Sequence
from math import inf
from pathlib import Path

from proxy.admin.doorkeeper import KeyOrRole
from proxy.admin.routes import Sources, admin_endpoints
from proxy.admin.server import AdminServer
from proxy.admin.targets import Standing
from proxy.alerts.watch import Shipping
from proxy.base.tasks import Tasks
from proxy.build.accounting import keeps_records, pulse_folder, spool_folder
from proxy.build.alerts import Alerting
from proxy.build.bookkeeping import Bookkeeping
from proxy.build.directory import keeper
from proxy.build.reconcile import Reconciling, reconciling
from proxy.build.telemetry import telemetry_options
from proxy.config.addresses import Listen
from proxy.config.settings import Settings
from proxy.config.snapshot import Snapshot
from proxy.stores.directory.keeper import DirectoryKeeper
from proxy.stores.postgres.identity import PostgresIdentity
from proxy.stores.postgres.reports import PostgresReports
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.targets import target_states
from proxy.telemetry.telemetry import MissingExtra, Telemetry, build
from proxy.usage.follower import Follower
from proxy.usage.holds_watch import watch_holds
from proxy.usage.pulse import Pulse, pulses
from proxy.wire.record_reader import Told

log = logging.getLogger("llm-proxy.control")

_LAST_LINES = 1.0  # Seconds.
_PORT_AGAIN = 1.0


class ControlPlane:
    """What control does with the snapshot in force."""

    def __init__(self, release: str, directory: DirectoryKeeper | None = None) -> None:
        """`directory`: what keeps it, if it was started before; it is stopped here."""
        self._release = release
        self._snapshot: Snapshot | None = None
        self._telemetry: Telemetry | None = None
        self._books: Bookkeeping | None = None
        self._directory = directory  # Keeps what workers know of keys.
        self._alerting = Alerting(self._store_address, self._shipping)
        self._reconciling: Reconciling | None = None
        self._follower: Follower | None = None
        self._admin: AdminServer | None = None
        self._tasks = Tasks()
        self._pulses: list[Pulse] = []
        self._following: asyncio.Task[None] | None = None
        self._access = AccessLog(sys.stdout.buffer)
        self._tells_access = False

    async def apply(self, snapshot: Snapshot) -> None:
        """Take a snapshot: the first starts everything, a later one changes what can change."""
        first = self._snapshot is None
        self._snapshot = snapshot
        await self._tell_by(snapshot)
        if first:
            await self._begin(snapshot)
        elif self._books is not None:
            self._books.retention = snapshot.settings.telemetry.retention
        await self._alerting.apply(snapshot.settings)

    def late(self) -> float:
        """Seconds that we are behind with what workers write. A store that is away is not our
        fault; one that we are starting is awaited by whoever has a budget: then for ever."""
        if self._books is not None and self._books.is_starting:
            return inf
        told = self._follower.late if self._follower is not None else 0.0
        state = self._books.state() if self._books is not None else None
        shipped = state.lag.seconds if state is not None and state.reason is None else 0.0
        return max(told, shipped)

    @property
    def server(self) -> int | None:
        """The process id of the PostgreSQL that we started, while it runs."""
        return self._books.server if self._books is not None else None

    async def stop(self) -> None:
        """End all of it; records that are not shipped wait in the spool."""
        if self._admin is not None:
            await self._admin.stop()
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._follower is not None:
            await self._follower.look()
            await asyncio.to_thread(self._follower.close)
            await _in_time(self._access.flush())
        if self._telemetry is not None:
            await self._telemetry.close()
        await self._tasks.cancel()
        await self._alerting.stop()
        if self._reconciling is not None:
            await self._reconciling.stop()
        if self._directory is not None:
            await self._directory.stop()
        if self._books is not None:
            await self._books.stop()

    async def _begin(self, snapshot: Snapshot) -> None:
        settings = snapshot.settings
        if keeps_records(settings):
            self._keep_books(snapshot)
        _ = self._tasks.spawn(self._feel(pulse_folder(settings)), name="pulses")
        self._admin = await self._listen(snapshot)

    def _keep_books(self, snapshot: Snapshot) -> None:
        settings = snapshot.settings
        spool = spool_folder(settings)
        self._books = Bookkeeping(
            settings.store, settings.data_dir, spool, settings.telemetry.retention
        )
        self._books.start()
        if self._directory is None:
            self._directory = keeper(settings, self._store_address)
            self._directory.start()
        self._reconciling = reconciling(settings, self._store_address)
        if self._reconciling is not None:
            self._reconciling.start()
        state = pulse_folder(settings) / "follower.state"
        self._follower = Follower(spool, state, self._observe)
        self._following = self._tasks.spawn(self._follower.run(), name="follower")
        _ = self._tasks.spawn(self._access.run(), name="access log")
        _ = self._tasks.spawn(watch_holds(spool), name="holds of dead workers")

    async def _listen(self, snapshot: Snapshot) -> AdminServer:
        assert self._telemetry is not None
        books = self._books
        store = PostgresIdentity(self._store_address)
        doorkeeper = KeyOrRole(self._settings, store)
        server = AdminServer(self._telemetry.metrics, self._ready, (), doorkeeper)
        sources = Sources(
            store,
            self._settings,
            PostgresReports(self._store_address),
            books.state if books is not None else lambda: None,
            lambda: [Standing(p.worker, p.targets, p.keys) for p in self._pulses],
        )
        endpoints = admin_endpoints(sources, self._release, server.open)
        server.add(*(endpoint.route() for endpoint in endpoints))
        where = snapshot.settings.admin.listen
        if not await self._open(server, where):
            _ = self._tasks.spawn(self._open_later(server, where), name="admin port")
        return server

    async def _open(self, server: AdminServer, where: Listen, level: int = logging.ERROR) -> bool:
        try:
            await server.start(where.host, where.port)
        except OSError as error:
            reason = error.strerror or error
            log.log(level, "the admin port %s cannot be had: %s; trying again", where, reason)
            return False
        log.info("metrics and admin on http://%s:%d", where.host, server.port)
        return True

    async def _open_later(self, server: AdminServer, where: Listen) -> None:
        """Whoever has the port may end, and control lives long."""
        while True:
            await asyncio.sleep(_PORT_AGAIN)
            if await self._open(server, where, logging.DEBUG):
                return

    async def _tell_by(self, snapshot: Snapshot) -> None:
        """Telemetry by this snapshot; the counters of the one before go on."""
        settings = snapshot.settings
        old = self._telemetry
        instance = f"{platform.node()}:{os.getpid()}"
        options = telemetry_options(settings, self._release, instance)
        try:
            self._telemetry = build(options, metrics=old.metrics if old is not None else None)
        except MissingExtra as error:
            log.error("%s", error)  # noqa: TRY400
            return
        self._tells_access = settings.telemetry.log.level in {"debug", "info"}
        metrics = self._telemetry.metrics
        metrics.gauges.replace("config_info", {snapshot.version: 1})
        metrics.before_render("control", self._refresh)
        _ = self._tasks.spawn(self._telemetry.run(), name="telemetry")
        if old is not None:
            await old.close()

    async def _feel(self, folder: Path) -> None:
        """Keep the workers' pulses at hand: files are not read while somebody waits for a page."""
        while True:
            self._pulses = await asyncio.to_thread(lambda: list(pulses(folder)))
            await asyncio.sleep(1.0)

    def _observe(self, told: Sequence[Told]) -> None:
        if self._telemetry is not None:
            self._telemetry.observe_all(told)
        if self._tells_access:
            for record in told:
                self._access.tell(record)

    def _refresh(self) -> None:
        """What no record tells, as it is now."""
        assert self._telemetry is not None and self._snapshot is not None
        gauges = self._telemetry.metrics.gauges
        workers = self._pulses
        gauges.replace("in_flight", {p.worker: p.in_flight for p in workers})
        gauges.replace("queue", {p.worker: p.queue for p in workers})
        failing = {p.worker: int(p.quota_failing is not None) for p in workers}
        gauges.replace("quota_store_failing", failing)
        gauges.replace("loop_lag_seconds", {p.worker: p.loop_lag for p in workers})
        gauges.replace("spool_failing", {p.worker: int(p.spool_failing) for p in workers})
        gauges.replace("spool_waiting_records", {p.worker: p.spool_waiting for p in workers})
        gauges.replace("spool_lost_records_total", {p.worker: p.spool_lost for p in workers})
        self._refresh_routing()
        books = self._books
        if books is None:
            return
        gauges.set("store_up", int(books.why_not() is None), "postgres")
        if (state := books.state()) is not None:
            gauges.set("spool_lag_records", state.lag.records)
            gauges.set("spool_lag_bytes", state.lag.bytes)
            gauges.set("spool_lag_seconds", state.lag.seconds)
            gauges.set("spool_dead_records", state.dead)
        if self._directory is not None and (age := self._directory.state().age) is not None:
            gauges.set("directory_age_seconds", age)
        unread = {p.worker: int(p.keys_failing is not None) for p in workers}
        gauges.replace("directory_failing", unread)
        gauges.replace("alerts_total", self._alerting.counts())
        gauges.set("alerts_waiting", self._alerting.waiting())

    def _refresh_routing(self) -> None:
        assert self._telemetry is not None
        metrics, workers = self._telemetry.metrics, self._pulses
        gauges, said = metrics.gauges, [each for p in workers for each in p.targets]
        gauges.replace("target_workers", target_states(said, metrics.read))
        resting: dict[tuple[str, ...], float] = {}
        failures: dict[tuple[str, ...], float] = {}
        queued: dict[tuple[str, ...], float] = {}
        for p in workers:
            resting |= {(name, p.worker): count for name, count in p.keys.items()}
            queued |= {(name, p.worker): count for name, count in p.queued.items()}
            failures |= {(name, p.worker): count for name, count in p.rules.items()}
        gauges.replace("provider_keys_resting", resting)
        gauges.replace("provider_queue", queued)
        gauges.replace("rule_failures_total", failures)

    def _ready(self) -> dict[str, object]:
        assert self._snapshot is not None
        books = self._books
        why_not = books.why_not() if books is not None else "none"
        workers = self._pulses
        policy = self._snapshot.settings.store_failure
        return {
            "ready": True,  # Traffic needs no store: without one this is degraded, not down.
            "config": self._snapshot.version,
            "store": "up" if why_not is None else why_not,
            "keys": self._keys_state(),
            "alerts": self._alerting.state(),
            "admin": "up" if self._settings().admin.key is not None else "off: no `admin.key`",
            "limits": next((p.quota_failing for p in workers if p.quota_failing), "up"),
            "store_failure": {"limits": policy.limits, "budgets": policy.budgets},
            "workers": {p.worker: _worker_state(p) for p in workers},
        }

    def _keys_state(self) -> str:
        if self._directory is None:
            return "none"
        return self._directory.state().reason or "up"

    def _store_address(self) -> str | None:
        return self._books.address if self._books is not None else None

    def _shipping(self) -> Shipping | None:
        state = self._books.state() if self._books is not None else None
        return Shipping(state.shipped, state.lag.seconds) if state is not None else None

    def _settings(self) -> Settings:
        assert self._snapshot is not None
        return self._snapshot.settings


def _worker_state(pulse: Pulse) -> str:
    if pulse.spool_failing:
        return "the spool cannot be written"
    if pulse.unready is not None:
        return f"serves nothing: {pulse.unready}"
    if pulse.keys_failing is not None:
        return f"keys of the store cannot be looked up: {pulse.keys_failing}"
    return "up"


async def _in_time(last: Coroutine[None, None, None]) -> None:
    """Give the reader of the access log a moment for its last lines."""
    try:
        async with asyncio.timeout(_LAST_LINES):
            await last
    except TimeoutError:
        log.warning("nobody reads the access log; its last lines are dropped")
