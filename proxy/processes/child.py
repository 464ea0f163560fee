"""One running child process, seen from the supervisor.

A child is a new interpreter, never a fork: it shares no memory, no lock and no descriptor but its
end of the channel. A worker gets its listening socket later, over a second pair of sockets, so that
it can start before anybody knows where it is to listen. A child has a process group of its own, so
Ctrl-C in a terminal reaches only the supervisor, which decides.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from proxy.base.clock import monotonic
from proxy.config.overlay import process_environment
from proxy.processes.channel import Channel

_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(64 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(32 * 1024 * 1024),
}
"""Of a worker, for glibc: bodies above 128 KiB come and go, and to give their memory back to the
system and fault it in again for the next one costs a tenth of a request of 200 kB."""
_SOURCE = Path(__file__).resolve().parents[2]


class Child:
    """A process, the channel to it and what it last said it serves."""

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        channel: Channel,
        hatch: socket.socket | None = None,
    ) -> None:
        """`hatch`: where it takes its listening socket."""
        self.name = name
        self.channel = channel
        self.started = monotonic()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.serves: str | None = None
        self._process = process
        self._hatch = hatch

    @property
    def pid(self) -> int:
        return self._process.pid

    def give(self, listener: socket.socket) -> None:
        """Hand it the socket to accept on, once. Without effect when it is gone."""
        hatch, self._hatch = self._hatch, None
        assert hatch is not None
        with hatch, suppress(ConnectionError):
            socket.send_fds(hatch, [b"\0"], [listener.fileno()])

    def close_hatch(self) -> None:
        """Nothing will be handed to it any more. Idempotent."""
        if self._hatch is not None:
            self._hatch.close()
            self._hatch = None

    def has_ended(self, status: int) -> None:
        """Its parent collected it with this wait status."""
        # Popen would otherwise wait for it again, and warn that it still runs.
        self._process.returncode = code = os.waitstatus_to_exitcode(status)
        self.ended.set_result(code)

    def kill(self) -> None:
        """End it now. Harmless when it has ended."""
        if not self.ended.done():
            # Nobody but us collects it, so its pid cannot belong to another process yet.
            os.kill(self.pid, signal.SIGKILL)


async def start(
    name: str, module: str, arguments: Sequence[str] = (), *, listens: bool = False
) -> Child:
    """Run the main function of `module` in a new process with a channel. `listens`: it will be
    given a listening socket."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, *_isolation(), "-m", "proxy.processes.launch", module]
    command += ["--name", name, "--channel", str(theirs.fileno())]
    passed = [theirs]
    hatch: socket.socket | None = None
    if listens:
        hatch, inner = socket.socketpair()
        command += ["--hatch", str(inner.fileno())]
        passed.append(inner)
    # The channel first: once the process runs, nothing may be awaited before the caller knows its
    # pid, or its end could be collected while nobody knows whose it is.
    channel = await Channel.over(ours)
    try:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns after vfork and exec; we collect it.
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=[each.fileno() for each in passed],
            process_group=0,
            env={**_KEEP_MEMORY, **process_environment()} if listens else None,
        )
    except OSError:
        await channel.close()
        if hatch is not None:
            hatch.close()
        raise
    finally:
        for each in passed:
            each.close()
    return Child(name, process, channel, hatch)


def describe_exit(code: int) -> str:
    """The way a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _isolation() -> list[str]:
    # `-m` puts the working directory first in sys.path: a file named like a library there would be
    # imported by the children. Only where the program itself runs from there is that wanted.
    try:
        return [] if Path.cwd() == _SOURCE else ["-P"]
    except FileNotFoundError:  # The directory was removed, for example by a deployment.
        return ["-P"]
