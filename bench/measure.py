"""What a process costs, read from /proc: CPU seconds, memory, children; and which cores it may use.

Figures are of whole processes, all threads. CPU is user plus system time as the kernel accounts it,
in clock ticks (10 ms): exact enough for windows of seconds. A process that is gone costs nothing
more; asking for the cost of one that never was is an error of the caller and raises.
"""

import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_AFTER_NAME = 2  # Fields of `stat` are counted from 1; after the name in brackets comes field 3.


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes (10^6 bytes). `rss` counts shared pages whole, `pss` only its share of them."""

    rss: float
    pss: float


def _stat(pid: int) -> list[str]:
    text = (_PROC / str(pid) / "stat").read_text()
    return text[text.rindex(")") + _AFTER_NAME :].split()


def cpu_seconds(pid: int) -> float:
    """User and system time of the process so far."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def machine_seconds() -> float:
    """CPU time that all cores spent on anything so far."""
    fields = (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, hard, soft, stolen = (int(each) for each in fields[:8])
    return (user + nice + system + hard + soft + stolen) / _TICKS


def start_time(pid: int) -> int | None:
    """When the process began, in ticks since boot; with the pid it names a process for good."""
    try:
        return int(_stat(pid)[19])
    except (FileNotFoundError, ProcessLookupError):
        return None


def lives(pid: int, began: int | None) -> bool:
    """Whether this very process still runs; one that is dead but not yet collected does not."""
    try:
        fields = _stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(fields[19]) == began and fields[0] not in ("Z", "X")


def children(pid: int) -> list[int]:
    """The direct children that live now."""
    found: list[int] = []
    for task in (_PROC / str(pid) / "task").iterdir():
        found.extend(int(child) for child in (task / "children").read_text().split())
    return found


def tree(pid: int) -> list[int]:
    """The process and all below it, parents first."""
    pids = [pid]
    for each in pids:
        try:
            pids.extend(children(each))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return pids


def find_below(pid: int, word: str) -> int | None:
    """The first process below `pid` whose command line has an argument with `word` in it."""
    for each in tree(pid)[1:]:
        try:
            command = (_PROC / str(each) / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if word.encode() in command:
            return each
    return None


def memory(pid: int) -> Memory:
    """Resident memory now."""
    rows: dict[str, float] = {}
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, amount, *_ = line.split()
        rows[name] = int(amount) * 1024 / 1e6
    return Memory(rss=rows["Rss:"], pss=rows["Pss:"])


def pin(pid: int, cores: Iterable[int]) -> None:
    """Keep the process, and children it makes later, on these cores (what `taskset` does)."""
    os.sched_setaffinity(pid, set(cores))


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def raise_file_limit() -> None:
    """As many open sockets as the system lets us have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
