"""Who goes first on a core that processes share: a worker, for whom a caller waits; records can
wait in the spool.

Control has two priorities. At `STEADY` it keeps up with a worker that is never idle, but may take
the core for milliseconds from one that is. So it works at `PATIENT`, where a worker hardly ever
waits for it, and goes back to `STEADY` for as long as it is behind with the records. Only a process
that may raise its priority again does that; any other stays at `STEADY`. What the system forbids
is told and changes nothing else.
"""

import contextlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

log = logging.getLogger("llm-proxy.priority")

STEADY: Final = 3
"""Leaves a third of a core that a worker wants all of: a little more than control needs there."""
PATIENT: Final = 15
"""Of such a core, one part in thirty: enough to see that it is behind."""

_BEHIND = 2.0  # Seconds.
_LEVEL = 1.0
_HOLD = 5.0
"""Seconds after which it is patient again: beside a worker that is never idle it falls behind
within seconds, and should not spend its time with that."""

_THREADS = Path("/proc/self/task")


class Courtesy:
    """The priority of control, all threads of it. `begin` once, then `adapt`."""

    __slots__ = ("_may_hurry", "_nice", "_since")

    def __init__(self) -> None:
        self._may_hurry = False
        self._nice = STEADY
        self._since = 0.0  # When it was last seen behind.

    @property
    def is_patient(self) -> bool:
        return self._nice == PATIENT

    def begin(self) -> None:
        """Step back. Where a sandbox forbids it (systemd with `SystemCallFilter=~@resources`, say)
        control works on as it is."""
        try:
            before = os.getpriority(os.PRIO_PROCESS, 0)
            threads = _threads()
            _set(before + STEADY, threads)
            if hasattr(os, "SCHED_BATCH"):
                for thread in threads:
                    os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
            # Rather found out here than where it would be too late: a way back that is barred.
            self._may_hurry = before == 0 and _may_set(STEADY - 1)
            _set(before + STEADY, (0,))
        except OSError as error:
            log.info("control goes on with the priority it has: %s", error)

    def adapt(self, late: float, now: float) -> None:
        """`late`: seconds that control is behind with what workers write."""
        if not self._may_hurry:
            return
        if late > _LEVEL:
            self._since = now
        if late > _BEHIND:
            self.hurry()
        elif now - self._since >= _HOLD:
            self._be(PATIENT)

    def hurry(self) -> None:
        """Be steady from now on, until `adapt` says otherwise."""
        if self._may_hurry:
            self._be(STEADY)

    def _be(self, nice: int) -> None:
        if nice == self._nice:
            return
        self._nice = nice
        try:
            _set(nice, _threads())
        except OSError as error:
            log.warning("control cannot change its priority to %d: %s", nice, error)


def _may_set(nice: int) -> bool:
    try:
        _set(nice, (0,))
    except PermissionError:
        return False
    return True


def _set(nice: int, threads: Iterable[int]) -> None:
    for thread in threads:
        with contextlib.suppress(ProcessLookupError):  # It has ended meanwhile.
            os.setpriority(os.PRIO_PROCESS, thread, nice)


def _threads() -> list[int]:
    """Linux keeps a priority for each of them; a new one has that of the one that started it."""
    if not _THREADS.is_dir():
        return [0]
    return [int(entry.name) for entry in _THREADS.iterdir()]
