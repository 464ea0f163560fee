"""What a tree of processes costs: CPU to the moment, memory as it goes.

CPU counts every process below the root that lives, and through its parent every one that ended
meanwhile: a database that starts a process for each query is charged for all of them. Memory is
resident memory added up, pages that processes share counted once for each.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import machine_seconds, tree
from proxy.base.clock import monotonic

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")
_QUIET = 0.1  # Cores.
_QUIET_FOR = 0.3  # Seconds.


def tree_seconds(root: int) -> float:
    """User and system time of the process and all that are or were below it."""
    return sum(_used(pid) for pid in tree(root))


def _used(pid: int) -> float:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # It ended; its parent has its time.
        return 0.0
    fields = text[text.rindex(")") + 2 :].split()
    user, system, *of_ended_children = (int(each) / _TICKS for each in fields[11:15])
    # Ticks are 10 ms. The scheduler counts finer, but forgets threads that have ended.
    return max(user + system, _scheduled(pid)) + sum(of_ended_children)


def _scheduled(pid: int) -> float:
    nanos = 0
    try:
        for task in os.listdir(_PROC / str(pid) / "task"):
            text = (_PROC / str(pid) / "task" / task / "schedstat").read_text()
            nanos += int(text.split()[0])
    except (FileNotFoundError, ProcessLookupError):  # It ended, or this kernel does not tell.
        return 0.0
    return nanos / 1e9


def resident(root: int) -> float:
    """Megabytes (10^6 bytes) of the tree."""
    return sum(resident_of(pid) for pid in tree(root))


def resident_of(pid: int) -> float:
    """Megabytes of the process itself; 0 if it is gone."""
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE / 1e6
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def settle(root: int, limit: float) -> float:
    """Wait until the tree has nothing left to do; the CPU seconds that it used until then.

    What was put off until after the load, such as the shipping of records, is part of its cost."""
    began = last = tree_seconds(root)
    until = monotonic() + limit
    while monotonic() < until:
        time.sleep(_QUIET_FOR)
        now = tree_seconds(root)
        if now - last <= _QUIET * _QUIET_FOR:
            break
        last = now
    return last - began


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds so far, of all that is told apart. `judged`: None where nobody said who it is."""

    judged: float | None
    tree: float
    ours: float  # The load, the mock vendor, whoever reads this.
    machine: float
    each: Mapping[int, float] = field(default_factory=dict)  # Of the tree, by process.


def read(judged: int | None, root: int | None, ours: list[int]) -> Reading:
    """Where the counters stand."""
    each = {pid: _used(pid) for pid in tree(root)} if root is not None else {}
    return Reading(
        judged=_used(judged) if judged is not None else None,
        tree=sum(each.values()),
        ours=sum(_used(pid) for pid in ours),
        machine=machine_seconds(),
        each=each,
    )


def serving(before: Reading, after: Reading) -> float:
    """CPU seconds of the process that is judged; where nobody said who, of the busiest."""
    if before.judged is not None and after.judged is not None:
        return after.judged - before.judged
    return max((used - before.each.get(pid, 0.0) for pid, used in after.each.items()), default=0.0)
