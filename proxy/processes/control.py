"""Control: the process that reads the configuration, beside the data plane.

It loads the file at its start, whenever one of its files changes and when asked to, and sends what
it found up to the supervisor: a valid snapshot or the list of problems. Nothing here touches a
request: traffic goes on while this process is dead.
"""

import argparse
import asyncio
import gc
import hashlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.base.clock import monotonic
from proxy.base.tasks import Tasks
from proxy.build.configuration import load
from proxy.config.problems import ConfigError
from proxy.config.secrets import secrets_of
from proxy.config.settings import Settings
from proxy.config.snapshot import Snapshot
from proxy.processes import logs
from proxy.processes.channel import Channel
from proxy.processes.messages import Drain, Invalid, Layout, Loaded, Reload
from proxy.processes.priority import Courtesy
from proxy.processes.release import release

if TYPE_CHECKING:
    from proxy.control_plane import ControlPlane
    from proxy.stores.directory.keeper import DirectoryKeeper

log = logging.getLogger("llm-proxy.control")

_ADAPT = 0.25  # Seconds between two looks at how we stand.
_PATIENCE = 1.0  # Until a store that does not answer is not waited for.
_SECOND_LOOK = 1.0  # Seconds after which the watch has certainly begun.


class Control:
    """Reads the configuration and reports it, one load at a time."""

    def __init__(self, name: str, channel: Channel, path: Path, environment: str | None) -> None:
        self._name = name
        self._channel = channel
        self._path = path
        self._environment = environment
        self._courtesy = Courtesy()
        self._files: Sequence[Path] = (path,)
        self._reported: str | None = None
        self._loading = asyncio.Lock()
        self._tasks = Tasks()
        self._watching: asyncio.Task[None] | None = None
        self._layout: Layout | None = None
        self._plane: ControlPlane | None = None
        self._begun = False
        self._directory: DirectoryKeeper | None = None
        self._applying = asyncio.Lock()
        self._imported = asyncio.Event()

    async def run(self) -> None:
        """Report now and on every change, until told to end or the supervisor is gone."""
        await self._report(asked=False)
        try:
            await self._obey()
        finally:
            self._courtesy.hurry()
            await self._tasks.cancel()
            if self._plane is not None:
                await self._plane.stop()
            elif self._directory is not None:
                await self._directory.stop()
            await self._channel.close()

    async def _obey(self) -> None:
        while message := await self._channel.receive():
            match message:
                case Reload():
                    await self._report(asked=True)
                case Drain():
                    return
                case _:
                    log.error("control has no use for %s", type(message).__name__)

    async def _report(self, *, asked: bool) -> None:
        async with self._loading:
            try:
                snapshot = await asyncio.to_thread(load, self._path, environment=self._environment)
            except (ConfigError, OSError) as error:
                reason = str(error)
                if self._is_news(reason, asked=asked):
                    self._channel.send(Invalid(reason))
                self._watch(self._files)
            else:
                if self._is_news(snapshot.version, asked=asked):
                    self._send(snapshot)
                self._watch(snapshot.files)

    def _is_news(self, found: str, *, asked: bool) -> bool:
        before, self._reported = self._reported, found
        return asked or found != before

    def _send(self, snapshot: Snapshot) -> None:
        layout = layout_of(snapshot.settings)
        secrets = secrets_of(snapshot.settings)
        logs.set_up(self._name, level=layout.log_level, style=layout.log_format, secrets=secrets)
        self._channel.send(Loaded(snapshot.version, layout, snapshot.dump()))
        if self._layout is None:
            self._layout = layout
        elif layout.fixed_since(self._layout):
            return  # The supervisor says that this needs a restart; until then the old one holds.
        _ = self._tasks.spawn(self._apply(snapshot), name="control plane")

    async def _apply(self, snapshot: Snapshot) -> None:
        async with self._applying:
            # Imported late: workers wait for the first snapshot, and these libraries are large.
            if self._plane is not None:
                await self._plane.apply(snapshot)
                return
            if not self._begun:
                self._begun = True
                await self._begin_directory(snapshot.settings)
                self._courtesy.begin()  # Not before workers have what they need of us.
            self._plane = await asyncio.to_thread(_make_plane, self._directory)
            self._imported.set()
            await self._plane.apply(snapshot)
            _collect_rarely()
            _ = self._tasks.spawn(self._give_way(self._plane), name="priority")

    async def _give_way(self, plane: "ControlPlane") -> None:
        due = monotonic()
        while True:
            now = monotonic()
            self._courtesy.adapt(plane.late(), now - due, now, plane.server)
            due = monotonic() + _ADAPT
            await asyncio.sleep(_ADAPT)

    async def _begin_directory(self, settings: Settings) -> None:
        """Before anything else: workers serve nobody until they know the keys of the store."""
        self._directory = await asyncio.to_thread(_make_directory, settings)
        if self._directory is not None:
            self._directory.start()
            await self._directory.tried(_PATIENCE)

    def _watch(self, files: Sequence[Path]) -> None:
        if self._watching is not None and not self._watching.done():
            if tuple(files) == tuple(self._files):
                return
            # This may be the task we run in: it ends at its next await, after this report is sent.
            self._watching.cancel()
        self._files = tuple(files)
        self._watching = self._tasks.spawn(self._follow(self._files), name="watch")

        _ = self._tasks.spawn(self._look_again(), name="second look")

    async def _follow(self, files: Sequence[Path]) -> None:
        # What changes until this begins is found by the second look.
        if self._layout is not None:
            await self._imported.wait()
        changes = await asyncio.to_thread(_import_watch)
        async for _ in changes(files):
            await self._report(asked=False)

    async def _look_again(self) -> None:
        # The watch counts from where it begins: a change between our load and that would be lost.
        # While the control plane is imported, nothing else gets far; and the watch begins with an
        # import of its own, which takes long where workers go first.
        if self._layout is not None:
            await self._imported.wait()
        _ = await asyncio.to_thread(_import_watch)
        await asyncio.sleep(_SECOND_LOOK)
        await self._report(asked=False)


def _collect_rarely() -> None:
    """As in a worker: what exists now lives as long as the process, and a batch of records has no
    cycle among its thousands of objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _import_watch() -> Callable[[Sequence[Path]], AsyncIterator[None]]:
    from proxy.config.watch import changes  # noqa: PLC0415 - see `_apply`.

    return changes


def _make_directory(settings: Settings) -> "DirectoryKeeper | None":
    from proxy.build.directory import early_keeper  # noqa: PLC0415 - see `_apply`.

    return early_keeper(settings)


def _make_plane(directory: "DirectoryKeeper | None") -> "ControlPlane":
    from proxy.control_plane import ControlPlane  # noqa: PLC0415 - see `_apply`.

    return ControlPlane(release(), directory)


def layout_of(settings: Settings) -> Layout:
    """The part of a configuration that the supervisor acts on."""
    recorded = settings.telemetry.log
    tls = settings.tls
    return Layout(
        host=settings.listen.host,
        port=settings.listen.port,
        tls=(str(tls.certificate), str(tls.key)) if tls.certificate else None,
        workers=settings.worker_count,
        drain=settings.drain,
        log_level=recorded.level,
        log_format=recorded.format,
        accounting=_digest(settings),
        http_server=settings.http_server,
    )


def _digest(settings: Settings) -> str:
    store = settings.store if isinstance(settings.store, str) else settings.store.reveal()
    told = f"{store}\n{settings.data_dir}\n{settings.admin.listen}"
    return hashlib.sha256(told.encode()).hexdigest()


async def control(name: str, channel: int, path: Path, environment: str | None) -> None:
    """Run control on an inherited channel."""
    process = Control(name, await Channel.inherited(channel), path, environment)
    await process.run()


def main() -> None:
    """The entry point of the process; only the supervisor calls it."""
    parser = argparse.ArgumentParser(prog="llm-proxy control")
    parser.add_argument("--name", required=True)
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--env")
    given = parser.parse_args()
    logs.set_up(given.name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asyncio.run(control(given.name, given.channel, given.config, given.env))


if __name__ == "__main__":
    main()
