"""The supervisor: keeps control and the workers alive, hands out configurations, drains.

It reads no configuration and serves no request: control sends it snapshots as bytes, it keeps the
last good one and gives it to every worker. So it stays small, and the data plane needs control for
nothing but news.

    starting → (control reports, workers are started, all serve) → serving → stopping → over

The first worker is started beside control, which half of a start is spent on; it waits for what it
is to serve.
"""

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.base.clock import monotonic
from proxy.base.redact import redact
from proxy.processes import logs
from proxy.processes.child import Child, describe_exit
from proxy.processes.descriptors import raise_limit
from proxy.processes.listeners import CannotListen, bind, url
from proxy.processes.messages import (
    Configure,
    Drain,
    Invalid,
    Layout,
    Leaving,
    Loaded,
    Message,
    Ready,
    Refused,
    Reload,
)
from proxy.processes.nursery import Nursery, Place
from proxy.processes.release import NAME, release
from proxy.processes.rollout import Rollout

if TYPE_CHECKING:
    import socket

log = logging.getLogger("llm-proxy.supervisor")

CLEAN = 0
FAILED = 1
BAD_CONFIGURATION = 2

_LATE = 5.0  # Seconds past its grace after which a child is killed.


class Supervisor:
    """One run of `llm-proxy serve`."""

    def __init__(self, path: Path, environment: str | None) -> None:
        arguments = ["--config", str(path)]
        if environment is not None:
            arguments += ["--env", environment]
        self._control = Place("control", "proxy.processes.control", tuple(arguments))
        self._workers = [_worker(0)]
        self._listeners: list[socket.socket] = []
        self._nursery = Nursery(self)
        self._rollout: Rollout | None = None
        self._stopping = False
        self._exit_code = CLEAN
        self._over = asyncio.Event()

    async def run(self) -> int:
        """Serve until told to stop. Returns the exit code."""
        raise_limit()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        loop.add_signal_handler(signal.SIGCHLD, self._nursery.collect)
        self._nursery.fill(self._control)
        self._nursery.fill(self._workers[0])
        try:
            await self._over.wait()
        finally:
            self._close_listeners()
            await self._nursery.close()
        return self._exit_code

    def child_started(self, place: Place, child: Child) -> None:
        """Give a worker what it is to serve, if that is known. Control needs nothing."""
        if self._stopping:
            child.kill()
        elif place.listener is not None and self._rollout is not None:
            child.give(place.listener)
            for loaded in self._rollout.for_new_worker():
                child.channel.send(Configure(loaded.version, loaded.payload))

    def child_not_started(self, place: Place, error: OSError) -> None:
        """The system gave us no process: wait longer each time, as for a child that died."""
        if self._stopping:
            return
        if not self._settled:
            self._fail(FAILED, f"cannot start {place.name}: {error}")
            return
        delay = place.backoff.after(0.0)
        log.error("cannot start %s: %s; trying again in %.1f s", place.name, error, delay)
        self._nursery.fill(place, delay)

    def child_ended(self, place: Place, child: Child, code: int) -> None:
        """Put another in its place, unless it went as it should."""
        expected = place.child is not child
        if not expected:
            place.child = None
        how = describe_exit(code)
        if self._stopping:
            self._stop_next()
        elif expected:
            log.info("%s (pid %d) has drained: %s", child.name, child.pid, how)
        elif not self._settled:
            self._fail(FAILED, f"{child.name} ended before it was ready ({how})")
        else:
            self._restart(place, child, how)

    def child_said(self, place: Place, child: Child, message: Message) -> None:
        """Act on a message. While stopping there is nothing left to act on."""
        if self._stopping:
            return
        match message:
            case Loaded():
                self._offered(message)
            case Invalid(reason):
                self._invalid(reason)
            case Ready(version):
                child.serves = version
                log.info("%s (pid %d) serves configuration %s", child.name, child.pid, version)
                self._settle()
            case Refused(version, reason):
                self._refused(child, version, reason)
            case Leaving():
                self._succeed(place, child)
            case _:
                log.error("unexpected %s from %s", type(message).__name__, child.name)

    @property
    def _settled(self) -> bool:
        return self._rollout is not None and self._rollout.settled

    def _restart(self, place: Place, child: Child, how: str) -> None:
        delay = place.backoff.after(monotonic() - child.started)
        again = f"in {delay:.1f} s" if delay else "now"
        log.error("%s (pid %d) died: %s; starting it again %s", child.name, child.pid, how, again)
        if place is not self._control and self._rollout is not None:
            culprit = self._rollout.died(child.serves)
            if culprit is not None:
                self._drop(culprit.version, "workers die over it")
        self._nursery.fill(place, delay)

    def _succeed(self, place: Place, child: Child) -> None:
        if place.child is child:
            place.child = None
            log.info("%s (pid %d) is leaving; starting its successor", child.name, child.pid)
            self._nursery.fill(place)

    # Configurations.

    def _offered(self, loaded: Loaded) -> None:
        if self._rollout is None:
            self._begin(loaded)
            return
        fixed = loaded.layout.fixed_since(self._rollout.good.layout)
        if fixed:
            names = " and ".join(fixed)
            log.error(
                "configuration %s is not taken: a change of %s needs a restart",
                loaded.version,
                names,
            )
        elif loaded.version == self._rollout.newest().version:
            log.info("configuration %s is unchanged", loaded.version)
        else:
            self._rollout.try_out(loaded)
            self._send_to_workers(loaded)

    def _begin(self, first: Loaded) -> None:
        self._adopt(first.layout)
        try:
            self._listeners = bind(first.layout.host, first.layout.port, first.layout.workers)
        except CannotListen as error:
            self._fail(FAILED, str(error))
            return
        self._rollout = Rollout(first)
        early = self._workers[0]
        self._workers += [_worker(number) for number in range(1, len(self._listeners))]
        for place, listener in zip(self._workers, self._listeners, strict=True):
            place.listener = listener
        if early.child is not None:
            self.child_started(early, early.child)
        for place in self._workers[1:]:
            self._nursery.fill(place)

    def _settle(self) -> None:
        if self._rollout is None:
            return
        was_ready = self._rollout.settled
        served = [place.child.serves if place.child else None for place in self._workers]
        settled = self._rollout.settle(served)
        if settled is None:
            return
        self._adopt(settled.layout)
        if was_ready:
            log.info("configuration %s active in all workers", settled.version)
            return
        count = len(self._workers)
        log.info(
            "%s %s ready on %s (config %s, %d %s)",
            NAME,
            release(),
            url(self._listeners[0], tls=settled.layout.tls is not None),
            settled.version,
            count,
            "worker" if count == 1 else "workers",
        )

    def _invalid(self, reason: str) -> None:
        if self._rollout is None:
            self._fail(BAD_CONFIGURATION, reason)
            return
        for problem in reason.splitlines():
            log.error("%s", problem)
        log.error("the configuration is not valid; nothing was changed")

    def _refused(self, child: Child, version: str, reason: str) -> None:
        if not self._settled:
            self._fail(BAD_CONFIGURATION, reason)
            return
        log.error("%s refused configuration %s: %s", child.name, version, reason)
        self._drop(version, "a worker refused it")

    def _drop(self, version: str, why: str) -> None:
        if self._rollout is not None and self._rollout.drop(version):
            good = self._rollout.good
            log.error("configuration %s is dropped: %s; %s stays", version, why, good.version)
            self._send_to_workers(good)

    def _send_to_workers(self, loaded: Loaded) -> None:
        for place in self._workers:
            if place.child is not None:
                place.child.channel.send(Configure(loaded.version, loaded.payload))

    def _adopt(self, layout: Layout) -> None:
        logs.set_up("supervisor", level=layout.log_level, style=layout.log_format)

    def _reload(self) -> None:
        # While control is dead there is nobody to ask: it reads the file when it starts.
        if self._control.child is not None:
            self._control.child.channel.send(Reload())

    # The end.

    def _fail(self, code: int, reason: str) -> None:
        """End before we were ever ready: for the person at the terminal, in plain words."""
        sys.stderr.write(redact(reason) + "\n")
        self._exit_code = code
        self._stop()

    def _interrupt(self) -> None:
        if self._stopping:
            self._kill("interrupted again")
        else:
            self._stop()

    def _stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        # Ours too, or new connections would wait in a queue that nobody serves.
        self._close_listeners()
        grace = self._rollout.good.layout.drain if self._rollout else 0.0
        if self._settled:
            log.info("stopping: requests in flight have %.0f s", grace)
        for child in self._nursery:
            if self._rollout is None and child.name != self._control.name:
                child.kill()  # It was given nothing, so there is nothing to wait for.
            elif child.name != self._control.name:
                child.channel.send(Drain(grace))
        asyncio.get_running_loop().call_later(
            grace + _LATE, self._kill, "still there after its time"
        )
        self._stop_next()

    def _stop_next(self) -> None:
        """Control ends after the workers: it is to account for what they do last."""
        left = [child.name for child in self._nursery]
        if not left:
            if self._settled:
                log.info("stopped")
            self._over.set()
        elif left == [self._control.name] and self._control.child is not None:
            self._control.child.channel.send(Drain(_LATE))

    def _kill(self, why: str) -> None:
        for child in self._nursery:
            log.error("killing %s (pid %d): %s", child.name, child.pid, why)
            child.kill()
            self._exit_code = FAILED

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()


def _worker(number: int) -> Place:
    return Place(f"worker-{number}", "proxy.processes.worker", listens=True)
