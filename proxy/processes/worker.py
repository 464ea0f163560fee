"""A worker: one process of the data plane.

It waits for its listening socket and its first snapshot from the supervisor, serves, and builds
each later snapshot beside the running one. It ends by draining: when told to, on SIGTERM, or when
the supervisor is gone (the channel ends), so no worker is ever left behind.
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

log = logging.getLogger("llm-proxy.worker")

_HANGS = 10  # Seconds past its grace after which a drain is taken to hang.


class Worker:
    """What one worker process does with the messages of its supervisor."""

    def __init__(self, name: str, channel: Channel, hatch: socket.socket) -> None:
        """`hatch`: where the listening socket lies before the first snapshot comes."""
        self._name = name
        self._channel = channel
        self._hatch = hatch
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
                if self._leave.is_set():
                    return  # A trial that waits behind is not to be blamed for what ended us.
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
            await self._app.start(snapshot, taken(self._hatch), gc.collect)
            # What exists now lives as long as the process: the collector need not look at it again.
            gc.freeze()
            # A request makes and drops a hundred objects without a cycle among them: looking for
            # cycles every few requests finds none and costs more than it saves.
            gc.set_threshold(20_000, 20, 100)
        self._grace = snapshot.settings.drain

    def _log_by(self, snapshot: Snapshot) -> None:
        recorded, secrets = snapshot.settings.telemetry.log, secrets_of(snapshot.settings)
        logs.set_up(self._name, level=recorded.level, style=recorded.format, secrets=secrets)


def taken(hatch: socket.socket) -> socket.socket:
    """The listening socket. Raises OSError where there is none."""
    with hatch:
        hatch.setblocking(False)  # It was put there before we were told to start.
        _, descriptors, _, _ = socket.recv_fds(hatch, 1, 1)
    if not descriptors:
        raise OSError("the supervisor has given us no socket to accept on")
    listener = socket.socket(fileno=descriptors[0])
    listener.set_inheritable(False)
    return listener


async def serve(name: str, channel: int, hatch: int) -> int:
    """Run a worker on inherited descriptors."""
    inherited = socket.socket(fileno=hatch)
    inherited.set_inheritable(False)
    return await Worker(name, await Channel.inherited(channel), inherited).run()


def main() -> None:
    """The entry point of the process; only the supervisor calls it."""
    parser = argparse.ArgumentParser(prog="llm-proxy worker")
    parser.add_argument("--name", required=True)
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--hatch", type=int, required=True)
    given = parser.parse_args()
    logs.set_up(given.name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.exit(uvloop.run(serve(given.name, given.channel, given.hatch)))


if __name__ == "__main__":
    main()
