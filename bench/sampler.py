"""py-spy, the sampling profiler: where it is, and a recording of one process.

It reads the process from outside and stops it for a moment at each sample, so nothing has to be
built into what is profiled. It is no dependency: what is in the PATH is taken, else it is installed
from its package registry into `build/py-spy`, once. It must be allowed to read other processes
(root, or `kernel.yama.ptrace_scope` 0).
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.children import Child, ChildFailed
from bench.measure import cores
from proxy.base.clock import monotonic

_PATIENCE = 120.0
_POLL = 0.05
_NAME = "py-spy"


def find(folder: Path) -> str:
    """The program, installed below `folder` if need be. Raises ChildFailed."""
    if found := shutil.which(_NAME):
        return found
    program = folder.absolute() / _NAME / "bin" / _NAME
    if not program.exists():
        _run([sys.executable, "-m", "venv", str(program.parent.parent)])
        _run([str(program.parent / "python"), "-m", "pip", "install", "-q", _NAME])
    return str(program)


def _run(command: list[str]) -> None:
    try:
        subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=True
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace")[-1000:]
        raise ChildFailed(f"py-spy cannot be installed: {said}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ChildFailed(f"py-spy cannot be installed: {error}") from None


class Recording:
    """One recording under way. Its `child` is to be entered by whoever may be broken off."""

    def __init__(
        self, program: str, pid: int, output: Path, *, seconds: int, rate: int, native: bool
    ) -> None:
        arguments = ["record", "--format", "raw", "--function", "--pid", str(pid)]
        arguments += ["--output", str(output), "--duration", str(seconds), "--rate", str(rate)]
        if native:
            arguments.append("--native")
        self._output = output
        self.child = Child(_NAME, arguments, cores=cores()[-1:], program=program)

    def stacks(self, limit: float) -> str:
        """What was recorded, when it is over. Raises ChildFailed."""
        until = monotonic() + limit
        while self.child.running and monotonic() < until:
            time.sleep(_POLL)
        if self.child.running or not self._output.exists():
            raise ChildFailed(f"{_NAME}: {self.child.why()}")
        return self._output.read_text()
