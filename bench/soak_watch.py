"""What a soak run looks at each second, from outside: memory, files and tasks of each process.

Processes are told apart by what they are: the supervisor, workers, control, the store (all
processes of PostgreSQL together). A worker's tasks and requests are those of its pulse, which it
writes anyway. Whatever ends while it is looked at counts as gone.
"""

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from bench.measure import memory, tree
from proxy.base.clock import wall
from proxy.base.jsonio import JSONError, loads

_PROC = Path("/proc")
_ROLES = (
    (b"proxy.processes.worker", "worker"),
    (b"proxy.processes.control", "control"),
    (b"proxy.cli.main", "supervisor"),
    (b"postgres", "store"),
)
JUDGED = ("worker", "control", "supervisor")


@dataclass(frozen=True, slots=True)
class Look:
    """One second. Memory in megabytes (10^6 bytes) and files by role."""

    at: float  # Seconds since the load began.
    pss: dict[str, float]
    rss: dict[str, float]
    files: dict[str, int]
    tasks: int | None  # Of all workers.
    in_flight: int | None
    answers: int  # So far.


def role(command: bytes) -> str:
    """What a process is, by its command line."""
    return next((name for word, name in _ROLES if word in command), "other")


def look(root: int, pulses: Path, at: float, answers: int) -> Look:
    """Where everything stands now."""
    pss: defaultdict[str, float] = defaultdict(float)
    rss: defaultdict[str, float] = defaultdict(float)
    files: defaultdict[str, int] = defaultdict(int)
    for pid in tree(root):
        try:
            name = role((_PROC / str(pid) / "cmdline").read_bytes())
            used = memory(pid)
            count = len(os.listdir(_PROC / str(pid) / "fd"))
        except (FileNotFoundError, ProcessLookupError, KeyError):  # It ended.
            continue
        pss[name] += used.pss
        rss[name] += used.rss
        files[name] += count
    tasks, in_flight = _of_pulses(pulses)
    return Look(round(at, 1), _rounded(pss), _rounded(rss), dict(files), tasks, in_flight, answers)


def _rounded(found: dict[str, float]) -> dict[str, float]:
    return {role: round(megabytes, 2) for role, megabytes in found.items()}


def _of_pulses(folder: Path) -> tuple[int | None, int | None]:
    """Tasks and requests of all workers that live; None where none is told."""
    found = []
    for path in folder.glob("*.json"):
        try:
            pulse = loads(path.read_bytes())
            if abs(wall() - pulse["at"]) < 5:
                found.append((int(pulse["tasks"]), int(pulse["in_flight"])))
        except (OSError, JSONError, KeyError):
            continue
    if not found:
        return None, None
    return sum(tasks for tasks, _ in found), sum(requests for _, requests in found)
