"""Who goes first on a core that processes share: a worker, for whom a caller waits; records can
wait in the spool.

Control is steady or patient. Steady, with `NICE`, it keeps up with a worker that is never idle, but
may keep the core for milliseconds from one that is woken. So it works patiently, as what Linux
gives idle time only (`SCHED_IDLE`): whoever is woken has the core at once. It is steady for as long
as it is behind with the records, or where there is no idle time: keys must travel, whatever workers
do. Only a process that may come back is ever patient. The PostgreSQL that it started does what it
does, or would hold a caller up in its place. What the system forbids is told and changes nothing
else.
"""

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Final

log = logging.getLogger("llm-proxy.priority")

NICE: Final = 3
"""Leaves a third of a core that a worker wants all of: a little more than control needs there."""

_BEHIND = 2.0  # Seconds.
_LEVEL = 1.0
_STARVED = 0.25
_HOLD = 5.0
"""Seconds after which it is patient again: beside a worker that is never idle it falls behind
within seconds, and should not spend its time with that."""

_THREADS = Path("/proc/self/task")
_CHILDREN = "/proc/{0}/task/{0}/children"


class Courtesy:
    """How control, all threads of it, and its PostgreSQL stand to others. `begin` once, then
    `adapt`."""

    __slots__ = ("_may_hurry", "_server", "_since", "is_patient")

    def __init__(self) -> None:
        self._may_hurry = False
        self._server: int | None = None
        self._since = 0.0  # When it was last seen behind.
        self.is_patient = False

    def begin(self) -> None:
        """Step back. Where a sandbox forbids it (systemd with `SystemCallFilter=~@resources`, say)
        control works on as it is."""
        try:
            nice = os.getpriority(os.PRIO_PROCESS, 0) + NICE
            for thread in _threads():
                with contextlib.suppress(ProcessLookupError):  # It has ended meanwhile.
                    os.setpriority(os.PRIO_PROCESS, thread, nice)
            if sys.platform == "linux":
                # Rather found out here than where it would be too late: a way back that is barred.
                _set(os.SCHED_BATCH)
                self._may_hurry = _may_come_back(nice)
        except OSError as error:
            log.info("control goes on with the priority it has: %s", error)

    def adapt(self, late: float, waited: float, now: float, server: int | None = None) -> None:
        """`late`: seconds that control is behind with what workers write. `waited`: seconds that
        the call itself is late, as it is where others have the core. `server`: the first process of
        the PostgreSQL that it started, if that runs."""
        if not self._may_hurry:
            return
        if server != self._server:  # A new one is steady.
            self._server = server
            self._tell_server()
        if late > _LEVEL or waited > _STARVED:
            self._since = now
        if late > _BEHIND or waited > _STARVED:
            self.hurry()
        elif now - self._since >= _HOLD:
            self._be(patient=True)

    def hurry(self) -> None:
        """Be steady from now on, until `adapt` says otherwise."""
        self._be(patient=False)

    def _be(self, *, patient: bool) -> None:
        if patient == self.is_patient:
            return
        self.is_patient = patient
        try:
            _set(self._policy())
        except OSError as error:
            how = "patient" if patient else "steady"
            log.warning("control cannot change its priority to be %s: %s", how, error)
        self._tell_server()

    def _tell_server(self) -> None:
        if self._server is None:
            return
        try:
            _set_family(self._server, self._policy())
        except OSError as error:  # Another user's, as root without CAP_SYS_NICE sees it.
            log.info("PostgreSQL goes on with the priority it has: %s", error)

    def _policy(self) -> int:
        return os.SCHED_IDLE if self.is_patient else os.SCHED_BATCH


def _may_come_back(nice: int) -> bool:
    """Whether this process, once patient, can be steady again. Linux asks for the same right as to
    lower `nice`, and a trial of that can be undone."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice - 1)
    except PermissionError:
        return False
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    return True


def _set(policy: int) -> None:
    for thread in _threads():
        _give(thread, policy)


def _set_family(first: int, policy: int) -> None:
    # In this order: a child that is not in the list has it from its parent.
    _give(first, policy)
    with contextlib.suppress(FileNotFoundError):  # It has ended, or this kernel keeps no such list.
        for child in Path(_CHILDREN.format(first)).read_text().split():
            _give(int(child), policy)


def _give(thread: int, policy: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # It has ended meanwhile.
        os.sched_setscheduler(thread, policy, os.sched_param(0))


def _threads() -> list[int]:
    """Linux keeps a priority for each of them; a new one has that of the one that started it."""
    if not _THREADS.is_dir():
        return [0]
    return [int(entry.name) for entry in _THREADS.iterdir()]
