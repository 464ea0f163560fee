"""Control gives way where it may come back, and nothing depends on either."""

import errno
import logging
import os
import subprocess
import sys

import pytest

from proxy.processes import priority
from proxy.processes.priority import NICE, Courtesy
from proxy.stores.postgres import launch

_CONTROL = """
import os, threading
from proxy.processes.priority import Courtesy
go = threading.Event()
thread = threading.Thread(target=go.wait)
thread.start()
courtesy = Courtesy()
courtesy.begin()
def told():
    return [os.sched_getscheduler(each) for each in (0, thread.native_id)]
print(courtesy.is_patient, *told())
courtesy.adapt(0.0, 0.0, 100.0)
print(courtesy.is_patient, *told())
courtesy.hurry()
print(courtesy.is_patient, *told())
print(*[os.getpriority(os.PRIO_PROCESS, each) for each in (0, thread.native_id)])
go.set()
"""

_SERVER = '''
import os, subprocess, sys
from proxy.processes.priority import Courtesy
main = """
import os, sys
until, ends = os.pipe()
def begin():
    child = os.fork()
    if not child:  # Not to read our input: it could take the line meant for us.
        os.close(ends)
        os.read(until, 1)
        os._exit(0)
    print(child, flush=True)
begin()
sys.stdin.readline()
begin()
sys.stdin.read()
"""
pipe = subprocess.PIPE
server = subprocess.Popen([sys.executable, "-c", main], stdin=pipe, stdout=pipe)
first = int(server.stdout.readline())
courtesy = Courtesy()
courtesy.begin()
def told(*pids):
    print(*[os.sched_getscheduler(each) for each in pids])
courtesy.adapt(0.0, 0.0, 100.0)
courtesy.adapt(0.0, 0.0, 100.0, server.pid)
told(server.pid, first)
courtesy.adapt(9.0, 0.0, 101.0, server.pid)
told(server.pid, first)
server.stdin.write(b"another, please\\n")  # Now: who has idle time only may never have it.
server.stdin.flush()
second = int(server.stdout.readline())
courtesy.adapt(0.0, 0.0, 200.0, server.pid)
told(server.pid, first, second)
courtesy.adapt(9.0, 0.0, 201.0, server.pid)
told(server.pid, first, second)
server.stdin.close()
server.wait()
courtesy.adapt(9.0, 0.0, 202.0, server.pid)
courtesy.adapt(9.0, 0.0, 202.0, None)
courtesy.adapt(0.0, 0.0, 300.0, None)
print(courtesy.is_patient)
courtesy.hurry()
'''


def run(program: str) -> str:
    """In a process of its own: none of this can be undone by somebody who is not root."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return done.stdout.decode()


class System:
    """A thread as a system keeps it. `returns`: whether it may be raised again."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, returns: bool, nice: int = 0, policy: int = 0
    ) -> None:
        self.nice = nice
        self.policy = policy
        self.returns = returns
        monkeypatch.setattr(os, "getpriority", lambda which, who: self.nice)
        monkeypatch.setattr(os, "setpriority", self._set_nice)
        monkeypatch.setattr(os, "sched_getscheduler", lambda who: self.policy)
        monkeypatch.setattr(os, "sched_setscheduler", self._set_policy)
        monkeypatch.setattr(priority, "_threads", lambda: [0])

    def _set_nice(self, which: int, who: int, nice: int) -> None:
        if nice < self.nice and not self.returns:
            raise PermissionError(errno.EACCES, "Permission denied")
        self.nice = nice

    def _set_policy(self, who: int, policy: int, parameter: os.sched_param) -> None:
        if self.policy == os.SCHED_IDLE != policy and not self.returns:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        self.policy = policy


def test_all_threads_of_control_change_together() -> None:
    begun, patient, hurried, nice = run(_CONTROL).splitlines()
    steady = f"{os.SCHED_BATCH} {os.SCHED_BATCH}"
    assert begun == f"False {steady}"
    may = os.geteuid() == 0  # To raise a priority again.
    now = f"{os.SCHED_IDLE} {os.SCHED_IDLE}" if may else steady
    assert patient == f"{may} {now}"
    assert hurried == f"False {steady}"
    assert nice == f"{NICE} {NICE}"


def test_the_database_that_control_started_is_as_patient_as_control() -> None:
    found, back, again, at_last, after = run(_SERVER).splitlines()
    may = os.geteuid() == 0
    patient = os.SCHED_IDLE if may else os.SCHED_OTHER
    steady = os.SCHED_BATCH if may else os.SCHED_OTHER
    assert found == f"{patient} {patient}"
    assert back == f"{steady} {steady}"
    assert again == f"{patient} {patient} {patient}"
    assert at_last == f"{steady} {steady} {steady}"
    assert after == f"{may}"  # A server that is gone is no trouble.


def test_it_is_patient_until_it_is_behind_and_for_a_while_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = System(monkeypatch, returns=True)
    courtesy = Courtesy()
    courtesy.begin()
    assert (system.nice, system.policy) == (NICE, os.SCHED_BATCH)
    seen = []
    for late, now in ((0.1, 10), (1.9, 11), (2.1, 12), (1.5, 16), (0.9, 20), (0.9, 21), (9, 22)):
        courtesy.adapt(late, 0.0, now)
        seen.append(system.policy)
    idle, batch = os.SCHED_IDLE, os.SCHED_BATCH
    assert seen == [idle, idle, batch, batch, batch, idle, batch]
    assert system.nice == NICE


def test_it_is_steady_where_others_leave_it_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(monkeypatch, returns=True)
    courtesy = Courtesy()
    courtesy.begin()
    seen = []
    for waited, now in ((0.1, 10), (0.3, 11), (0.1, 15.9), (0.1, 16), (0.3, 17)):
        courtesy.adapt(0.0, waited, now)
        seen.append(system.policy == os.SCHED_IDLE)
    assert seen == [True, False, False, True, False]


def test_who_could_not_come_back_stays_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(monkeypatch, returns=False)
    courtesy = Courtesy()
    courtesy.begin()
    courtesy.adapt(0.0, 0.0, 100.0)
    courtesy.hurry()
    assert (system.nice, system.policy) == (NICE, os.SCHED_BATCH)
    assert not courtesy.is_patient


def test_where_a_sandbox_forbids_it_control_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def forbidden(*given: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    monkeypatch.setattr(os, "setpriority", forbidden)
    courtesy = Courtesy()
    with caplog.at_level(logging.INFO, logger="llm-proxy"):
        courtesy.begin()
    assert "control goes on with the priority it has" in caplog.text
    courtesy.adapt(0.0, 0.0, 100.0)
    assert not courtesy.is_patient


def test_the_database_does_not_keep_the_patience_of_who_starts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert launch.NICE == NICE
    for returns, expected in ((True, (NICE, os.SCHED_BATCH)), (False, (19, os.SCHED_IDLE))):
        system = System(monkeypatch, returns=returns, nice=19, policy=os.SCHED_IDLE)
        launch._be_no_more_patient_than(launch.NICE)
        assert (system.nice, system.policy) == expected
