"""A worker: one process of the data plane.

It gets its listening socket and its first snapshot from the supervisor, serves, and builds each
later snapshot beside the running one. It ends by draining: when told to, on SIGTERM, or when the
supervisor is gone (the channel ends), so no worker is ever left behind.
"""

import argparse
import asyncio
import gc
import logging
import signal
import socket
import sys

import uvloop

from proxy.app import App
from proxy.base.errors import ProxyError
from proxy.base.tasks import Tasks
from proxy.config.problems import ConfigError
from proxy.config.secrets import secrets_of
from proxy.config.snapshot import Snapshot
from proxy.processes import logs
from proxy.processes.channel import Channel
from proxy.processes.messages import Configure, Drain, Leaving, Message, Ready, Refused
from proxy.processes.priority import ask_for_a_short_slice

log = logging.getLogger("llm-proxy.worker")

_HANGS = 10  # Seconds past its grace after which a drain is taken to hang.


class Worker:
    """What one worker process does with the messages of its supervisor."""

    def __init__(self, name: str, channel: Channel, listener: socket.socket) -> None:
        self._name = name
        self._channel = channel
        self._listener = listener
        self._app = App(name)
        self._serving: str | None = None
        self._leave = asyncio.Event()
        self._grace = 0.0

    async def run(self) -> int:
        """Serve until it is time to leave; then finish what is in flight. Returns the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._terminated)
        tasks = Tasks()
        try:
            _ = tasks.spawn(self._obey(), name="orders")
            await self._leave.wait()
        finally:
            await tasks.cancel()
        if self._serving:
            # Unhandled, this signal ends the process: a drain that hangs cannot outlive its time.
            signal.alarm(int(self._grace) + _HANGS)
            await self._app.stop(self._grace)
        await self._channel.close()
        return 0 if self._serving else 1

    def _terminated(self) -> None:
        log.info("told to end by a signal: draining")
        self._channel.send(Leaving())
        self._leave.set()

    async def _obey(self) -> None:
        try:
            while message := await self._channel.receive():
                await self._obey_one(message)
            log.warning("the supervisor is gone: draining")
        finally:
            self._leave.set()

    async def _obey_one(self, message: Message) -> None:
        match message:
            case Configure():
                await self._configure(message)
            case Drain(grace):
                self._grace = grace
                self._leave.set()
            case _:
                log.error("a worker has no use for %s", type(message).__name__)

    async def _configure(self, order: Configure) -> None:
        try:
            # Sent again after a trial that other workers refused, it may be what we never left.
            if order.version != self._serving:
                await self._build(Snapshot.parse(order.payload))
                self._serving = order.version
            self._channel.send(Ready(order.version))
        except (ProxyError, ConfigError, OSError) as error:
            self._channel.send(Refused(order.version, str(error)))
        except Exception as error:
            # Whatever is wrong with the new one, the old one must go on serving.
            log.exception("configuration %s cannot be built", order.version)
            self._channel.send(Refused(order.version, f"{type(error).__name__}: {error}"))
        if not self._serving:
            self._leave.set()  # Nothing to fall back on: the supervisor starts another process.

    async def _build(self, snapshot: Snapshot) -> None:
        if self._serving is not None:
            await self._app.apply(snapshot)
            self._log_by(snapshot)
        else:
            self._log_by(snapshot)
            await self._app.start(snapshot, self._listener)
            # What exists now lives as long as the process: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            # A request makes and drops a hundred objects without a cycle among them: looking for
            # cycles every few requests finds none and costs more than it saves.
            gc.set_threshold(20_000, 20, 100)
        self._grace = snapshot.settings.drain

    def _log_by(self, snapshot: Snapshot) -> None:
        recorded, secrets = snapshot.settings.telemetry.log, secrets_of(snapshot.settings)
        logs.set_up(self._name, level=recorded.level, style=recorded.format, secrets=secrets)


async def serve(name: str, channel: int, listener: int) -> int:
    """Run a worker on inherited descriptors."""
    accepting = socket.socket(fileno=listener)
    accepting.set_inheritable(False)
    return await Worker(name, await Channel.inherited(channel), accepting).run()


def main() -> None:
    """The entry point of the process; only the supervisor calls it."""
    parser = argparse.ArgumentParser(prog="llm-proxy worker")
    parser.add_argument("--name", required=True)
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--listener", type=int, required=True)
    given = parser.parse_args()
    logs.set_up(given.name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ask_for_a_short_slice()
    sys.exit(uvloop.run(serve(given.name, given.channel, given.listener)))


if __name__ == "__main__":
    main()
