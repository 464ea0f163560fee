"""Control gives way where it may, and works on where it may not."""

import os
import subprocess
import sys

import pytest

from proxy.processes import control
from tests.guard.source_tree import ROOT


def test_where_a_sandbox_forbids_it_control_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def forbidden(_which: int, _who: int, priority: int) -> None:
        asked.append(priority)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", forbidden)
    control._give_way()
    assert len(asked) == 1


_EACH = """
import os, threading
from pathlib import Path
from proxy.processes import control

let_go = threading.Event()
threading.Thread(target=let_go.wait, daemon=True).start()
before = os.getpriority(os.PRIO_PROCESS, 0)
control._give_way()
for each in Path("/proc/self/task").iterdir():
    print(os.getpriority(os.PRIO_PROCESS, int(each.name)) - before)
let_go.set()
"""


def test_every_thread_that_there_is_gives_way() -> None:
    done = subprocess.run(
        (sys.executable, "-c", _EACH), cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [int(line) for line in done.stdout.split()] == [control._NICE, control._NICE]
