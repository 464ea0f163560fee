"""What is read from /proc is of the right process, and children end with their parent."""

import os
import subprocess
import sys

import pytest

from bench import measure
from bench.children import Child, ChildFailed
from proxy.base.clock import monotonic

# A process with a child of its own, named so that it can be found; prints the child's pid.
BELOW = "import time; print(flush=True); time.sleep(60)"
PARENT = f"""
import subprocess, sys, time
below = subprocess.Popen(
    [sys.executable, "-c", {BELOW!r}, "worker-0"], stdout=subprocess.PIPE
)
below.stdout.readline()
print('{{"below": %d}}' % below.pid, flush=True)
time.sleep(60)
"""


def test_cpu_is_counted_while_it_is_used() -> None:
    before = measure.cpu_seconds(os.getpid())
    until = monotonic() + 0.2
    while monotonic() < until:
        pass
    used = measure.cpu_seconds(os.getpid()) - before
    assert 0.02 <= used <= 2.0


def test_memory_is_of_this_process() -> None:
    used = measure.memory(os.getpid())
    assert 5 < used.pss <= used.rss < 2000


def test_the_worker_is_found_below_and_ends_with_its_parent() -> None:
    with Child("parent", ["-c", PARENT], cores=measure.cores()) as child:
        below = child.line(10)["below"]
        assert measure.tree(child.pid) == [child.pid, below]
        assert measure.find_below(child.pid, "worker-0") == below
        assert measure.find_below(child.pid, "worker-7") is None
        began = measure.start_time(below)
        assert measure.lives(below, began)
    assert not child.running
    assert not measure.lives(below, began)


def test_a_child_that_fails_says_why() -> None:
    with (
        Child("broken", ["-c", "raise SystemExit('no luck')"], cores=measure.cores()) as child,
        pytest.raises(ChildFailed, match="no luck"),
    ):
        child.line(10)


def test_pinning_is_inherited() -> None:
    core = measure.cores()[-1]
    script = "import os, sys; sys.stdin.read(); print(*os.sched_getaffinity(0))"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        measure.pin(process.pid, [core])
        out, _ = process.communicate(timeout=10)
    assert out.split() == [str(core).encode()]
