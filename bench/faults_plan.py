"""What is killed and when: drawn from a seed, done under load.

A step is due when so many requests were sent. Kills of control and of the worker are spread over
the run, each at a random place of its share; PostgreSQL is killed about the middle and stopped
(SIGSTOP, with all its processes) a little later. A step is over when the victim's successor is
there; the load does not go past the next step before that, so that each falls into traffic.
"""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.children import ChildFailed
from bench.faults_load import Load
from bench.faults_proxy import Proxy, Victim, family
from proxy.base.clock import monotonic

What = Literal["kill control", "kill worker", "kill postgres", "stop postgres"]

_RECOVERY_LIMIT = 120.0
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Step:
    """One fault. `at`: requests sent before it."""

    at: int
    what: What


@dataclass(frozen=True, slots=True)
class Done:
    """A fault that was done. `recovered`: seconds until its successor was there."""

    step: Step
    pid: int
    after: float
    recovered: float


def draw(requests: int, kills: int, seed: int) -> list[Step]:
    """The steps in their order."""
    chance = random.Random(seed)
    victims: list[What] = ["kill control", "kill worker"]
    chosen = [victims[n] if n < 2 else chance.choice(victims) for n in range(kills)]
    chance.shuffle(chosen)
    steps = [
        Step(int(requests * (0.04 + 0.92 * (n + chance.random()) / kills)), what)
        for n, what in enumerate(chosen)
    ]
    steps.append(Step(int(requests * chance.uniform(0.42, 0.5)), "kill postgres"))
    steps.append(Step(int(requests * chance.uniform(0.55, 0.63)), "stop postgres"))
    return sorted(steps, key=lambda step: step.at)


class Faults:
    """Does the steps of one run."""

    def __init__(self, proxy: Proxy, load: Load, steps: Sequence[Step], *, stopped: float) -> None:
        """`stopped`: for how many seconds PostgreSQL stands still."""
        self._proxy = proxy
        self._load = load
        self._steps = steps
        self._stopped = stopped
        self._began = monotonic()
        self.done: list[Done] = []

    @property
    def total(self) -> int:
        return len(self._steps)

    async def run(self) -> None:
        """Do all of them. Raises ChildFailed when a victim has no successor."""
        everything = self._load.gate
        gates = [*(step.at for step in self._steps[1:]), everything]
        for step, gate in zip(self._steps, gates, strict=True):
            self._load.gate = max(gate, step.at)
            await self._load.reached(step.at)
            self.done.append(await self._do(step))
        self._load.gate = everything

    async def _do(self, step: Step) -> Done:
        find = self._finder(step.what)
        victim = await self._wait_for(find, step.what)
        began = monotonic()
        if step.what == "stop postgres":
            await _pause(victim, self._stopped)
        else:
            _signal([victim.pid], signal.SIGKILL)
            await self._wait_for(_other(find, victim), f"recover from: {step.what}")
            if step.what == "kill worker":
                await self._serving()
        return Done(step, victim.pid, began - self._began, monotonic() - began)

    def _finder(self, what: What) -> Callable[[], Victim | None]:
        match what:
            case "kill control":
                return self._proxy.control
            case "kill worker":
                return self._proxy.worker
            case "kill postgres" | "stop postgres":
                return self._proxy.postmaster

    async def _wait_for(self, find: Callable[[], Victim | None], what: str) -> Victim:
        until = monotonic() + _RECOVERY_LIMIT
        while monotonic() < until:
            if (victim := find()) is not None and victim.lives:
                return victim
            await asyncio.sleep(_POLL)
        raise ChildFailed(f"{what}: no process within {_RECOVERY_LIMIT:.0f} s")

    async def _serving(self) -> None:
        until = monotonic() + _RECOVERY_LIMIT
        while not await self._proxy.serves():
            if monotonic() > until:
                raise ChildFailed("the worker's successor does not serve")
            await asyncio.sleep(_POLL)


def _other(find: Callable[[], Victim | None], before: Victim) -> Callable[[], Victim | None]:
    def search() -> Victim | None:
        found = find()
        return found if found != before else None

    return search


async def _pause(victim: Victim, seconds: float) -> None:
    stopped = family(victim)
    _signal(stopped, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        _signal(stopped, signal.SIGCONT)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # It ended by itself a moment ago.
