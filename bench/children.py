"""Processes that a run starts: bounded in time, ended by pid with all below them, whatever happens.

A child runs in a session of its own, so that Ctrl-C reaches only us and we decide what ends when.
What it prints goes to a pipe, what it complains of to a file that is shown when it fails.
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import group
from bench.measure import lives, pin, start_time, tree
from proxy.base.clock import monotonic
from proxy.base.jsonio import loads

_PATIENCE = 8.0
_POLL = 0.02
_HERE = Path(__file__).parent.parent


class ChildFailed(Exception):
    """A process that we started did not do what it is for."""


class Child:
    """One started process; ends with the `with` block."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        cores: Sequence[int],
        program: str = sys.executable,
        folder: Path = _HERE,
        apart: bool = False,
    ) -> None:
        """`apart`: in a control group of its own, where one can be made (`group.py`)."""
        self.name = name
        # Closed in `end`: both live as long as the process does.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            start_new_session=True,
            cwd=folder,
        )
        self.pid = self._process.pid
        pin(self.pid, cores)
        self._group: group.Group | None = None
        if apart and (place := group.place()) is not None:
            try:
                self._group = group.Group(place, self.pid)
            except OSError as error:
                self.end()
                raise ChildFailed(f"{name}: it cannot have a control group: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def output(self) -> int:
        """The file descriptor of what it prints, for whoever reads more than a line of it."""
        out = self._process.stdout
        assert out is not None
        return out.fileno()

    def line(self, limit: float) -> Any:
        """The next line that it prints, as JSON. Raises ChildFailed when none comes in time."""
        out = self._process.stdout
        assert out is not None
        ready, _, _ = select.select([out], [], [], limit)
        text = out.readline() if ready else b""
        if not text:
            raise ChildFailed(f"{self.name}: {self.why()}")
        return loads(text)

    def why(self) -> str:
        """The end of what it complained of, for people."""
        status = self._process.poll()
        self._complaints.seek(0)
        said = self._complaints.read()[-2000:].decode(errors="replace").strip()
        state = "is running and says nothing" if status is None else f"ended with {status}"
        return f"{state}\n{said}" if said else state

    def end(self) -> None:
        """Ask it to end, wait, then kill what is left of it and of everything below it."""
        below = [(pid, start_time(pid)) for pid in tree(self.pid)[1:]] if self.running else []
        if self.running:
            self._process.terminate()
        _wait(lambda: not self.running, _PATIENCE)
        if self.running:
            self._process.kill()
        self._process.wait()
        for pid, began in below:
            if lives(pid, began):
                _kill(pid)
        _wait(lambda: not any(lives(pid, began) for pid, began in below), _PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._complaints.close()
        if self._group is not None:
            self._group.end()


def _wait(reached: Callable[[], bool], limit: float) -> None:
    until = monotonic() + limit
    while not reached() and monotonic() < until:
        time.sleep(_POLL)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
