"""Control gives way where it may come back, and nothing depends on either."""

import errno
import logging
import os
import subprocess
import sys

import pytest

from proxy.processes import priority
from proxy.processes.priority import PATIENT, STEADY, Courtesy
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
    return [os.getpriority(os.PRIO_PROCESS, each) for each in (0, thread.native_id)]
batch = [os.sched_getscheduler(each) == os.SCHED_BATCH for each in (0, thread.native_id)]
print(all(batch), *told())
courtesy.adapt(0.0, 100.0)
print(courtesy.is_patient, *told())
courtesy.hurry()
print(courtesy.is_patient, *told())
go.set()
"""


def run(program: str) -> str:
    """In a process of its own: none of this can be undone by somebody who is not root."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return done.stdout.decode()


class System:
    """Priorities as a system keeps them. `lowest`: the least that may be gone back to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lowest: int) -> None:
        self.nice = 0
        self.lowest = lowest
        monkeypatch.setattr(os, "getpriority", lambda which, who: self.nice)
        monkeypatch.setattr(os, "setpriority", self.set)
        monkeypatch.setattr(os, "sched_setscheduler", lambda who, policy, parameter: None)

    def set(self, which: int, who: int, nice: int) -> None:
        if nice < self.nice and nice < self.lowest:
            raise PermissionError(errno.EACCES, "Permission denied")
        self.nice = nice


def test_all_threads_of_control_change_together() -> None:
    begun, patient, hurried = run(_CONTROL).splitlines()
    assert begun == f"True {STEADY} {STEADY}"
    may = os.geteuid() == 0  # To raise a priority again.
    now = PATIENT if may else STEADY
    assert patient == f"{may} {now} {now}"
    assert hurried == f"False {STEADY} {STEADY}"


def test_it_is_patient_until_it_is_behind_and_for_a_while_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = System(monkeypatch, lowest=0)
    monkeypatch.setattr(priority, "_threads", lambda: [0])
    courtesy = Courtesy()
    courtesy.begin()
    assert system.nice == STEADY
    seen = []
    for late, now in ((0.1, 10), (1.9, 11), (2.1, 12), (1.5, 16), (0.9, 20), (0.9, 21), (9, 22)):
        courtesy.adapt(late, now)
        seen.append(system.nice)
    assert seen == [PATIENT, PATIENT, STEADY, STEADY, STEADY, PATIENT, STEADY]


def test_who_could_not_come_back_stays_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(monkeypatch, lowest=20)
    courtesy = Courtesy()
    courtesy.begin()
    courtesy.adapt(0.0, 100.0)
    courtesy.hurry()
    assert system.nice == STEADY
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
    courtesy.adapt(0.0, 100.0)
    assert not courtesy.is_patient


def test_the_database_does_not_keep_the_patience_of_who_starts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert launch.NICE == STEADY
    system = System(monkeypatch, lowest=0)
    system.nice = PATIENT
    launch._be_no_more_patient_than(launch.NICE)
    assert system.nice == STEADY
    system.nice = 19
    system.lowest = 20
    launch._be_no_more_patient_than(launch.NICE)
    assert system.nice == 19
