"""One size, from its start to its verdict: N hosts idle, under two rates, and at two walls.

The CPU of a window is read before its load begins and a second after it ended, when its records are
shipped: what was put off is part of the cost. The walls are tried with far more calls than pass:
what was let through is counted by the clients, by the vendor, by Redis and by PostgreSQL.
"""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.children import ChildFailed
from bench.harness.recorder import Recorder
from bench.hosts import load, stores
from bench.hosts.configuration import BUDGET, CALL_COSTS, CALLS_PAID, LIMIT, LIMITED_KEY, POOR_KEY
from bench.hosts.fleet import PARTS, Fleet, PartName
from bench.hosts.network import Network
from bench.hosts.stores import NOTHING, Recorded
from bench.targets import KEY
from proxy.base.clock import monotonic

_WARM = 1.5
_SETTLE = 1.0
_WALL_RATE, _WALL_SECONDS = 600.0, 1.2
_DRAIN = 20.0
_FREE = 0.95
_POLL = 0.2
_REFUSED, _UNHEARD = "status_429", "status_503"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """`rates`: requests a second to each host; `seconds`: of each window."""

    rates: tuple[float, ...] = (75.0, 225.0)
    seconds: float = 4.0


@dataclass(frozen=True, slots=True)
class Window:
    """One measured window. `rate`: answers a second of all hosts, over all of it; `cores`: what
    each part used; `machine`: what everything on it used, strangers (no process of this run) too;
    `scripts`: seconds that Redis spent in scripts by its own count."""

    offered: float
    rate: float
    answers: int
    seconds: float
    cores: dict[PartName, float]
    machine: float
    strangers: float
    scripts: float = 0.0
    p50: float = 0.0
    p99: float = 0.0

    @property
    def free(self) -> bool:
        """Whether the machine had something left."""
        return self.machine < _FREE * (os.cpu_count() or 1)

    def per_request(self, part: PartName) -> float:
        """Microseconds."""
        return 1e6 * self.cores[part] / self.rate if self.rate else 0.0


@dataclass(frozen=True, slots=True)
class Wall:
    """What passed a wall, by whom it was counted; `most`: what may pass; `spent`: nano-USD."""

    name: str
    asked: int
    most: int
    clients: int
    vendor: int
    recorded: int
    spent: int = 0
    in_redis: int = 0
    amount: int = 0

    @property
    def overrun(self) -> int:
        """Calls above the limit, or nano-USD above the amount; nobody's count may be above."""
        if self.amount:
            return (
                max(self.spent, self.in_redis, self.vendor * CALL_COSTS, self.amount) - self.amount
            )
        return max(self.clients, self.vendor, self.recorded, self.most) - self.most

    @property
    def agreed(self) -> bool:
        """Whether all have counted the same."""
        return self.clients == self.vendor == self.recorded and self.spent == self.in_redis


@dataclass(slots=True)
class Size:
    """What was found with so many hosts. `unheard`: requests refused with 503 because Redis did not
    answer within 50 ms, as `store_failure: deny` wants: a busy machine, and nothing passed."""

    hosts: int
    windows: list[Window] = field(default_factory=list)
    walls: list[Wall] = field(default_factory=list)
    answers: int = 0
    rows: int = 0
    ids: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    unheard: int = 0
    redis_connections: int = 0
    postgres_connections: int = 0
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled, wrong or passed."""
        exact = all(wall.overrun == 0 and wall.agreed for wall in self.walls)
        return exact and self.answers == self.rows == self.ids and not self.wrong


class _Run:
    def __init__(self, fleet: Fleet, pace: Pace, folder: Path, tell: Tell) -> None:
        self._fleet = fleet
        self._pace = pace
        self._folder = folder
        self._tell = tell
        self._urls = [host.url for host in fleet.hosts]
        self._redis = stores.RedisAsked(fleet.store)
        self.size = Size(len(fleet.hosts))

    def run(self) -> Size:
        pace, size = self._pace, self.size
        self._count(self._load(KEY, pace.rates[0], _WARM))
        self._drained()
        time.sleep(_SETTLE)
        self._tell("idle")
        size.windows.append(self._window(0.0, lambda: time.sleep(pace.seconds)))
        for rate in pace.rates:
            self._tell(f"{rate:g} a second to each")
            size.windows.append(self._loaded(rate))
        size.redis_connections = self._redis.connections()
        size.postgres_connections = stores.postgres_connections(self._fleet.store)
        self._tell("at the walls")
        size.walls.append(self._limit())
        size.walls.append(self._budget())
        found = self._drained().values()
        size.rows, size.ids = sum(row.rows for row in found), sum(row.ids for row in found)
        self._redis.close()
        return size

    def _loaded(self, rate: float) -> Window:
        seen: list[Recorder] = []

        def put() -> None:
            seen.append(self._load(KEY, rate, self._pace.seconds))
            time.sleep(_SETTLE)

        window = self._window(rate, put, seen)
        self._count(seen[0])
        behind = self._fleet.behind()
        if behind:
            raise ChildFailed(f"{behind} records were not shipped a second after the load")
        return window

    def _window(
        self, rate: float, put: Callable[[], None], seen: list[Recorder] | None = None
    ) -> Window:
        scripts, before = self._redis.script_seconds(), self._fleet.used()
        put()
        after = self._fleet.used()
        scripts = self._redis.script_seconds() - scripts
        seconds = after.at - before.at
        cores = {part: (after.parts[part] - before.parts[part]) / seconds for part in PARTS}
        machine = (after.machine - before.machine) / seconds
        answers, p50, p99 = 0, 0.0, 0.0
        if seen:
            answers = seen[0].all_answers
            p50, p99 = seen[0].latencies.quantiles((0.5, 0.99))
        return Window(
            offered=rate * len(self._urls),
            rate=answers / seconds,
            answers=answers,
            seconds=seconds,
            cores=cores,
            machine=machine,
            strangers=max(
                machine - sum(cores.values()) - (after.ours - before.ours) / seconds, 0.0
            ),
            scripts=scripts,
            p50=p50,
            p99=p99,
        )

    def _limit(self) -> Wall:
        before = self._fleet.vendors_calls()
        seen = self._load(LIMITED_KEY, _WALL_RATE, _WALL_SECONDS)
        passed = self._count(seen, refused=True)
        row = self._drained().get("limited", NOTHING)
        vendor = self._fleet.vendors_calls() - before
        return Wall("requests a minute", seen.all_answers, LIMIT, passed, vendor, row.good)

    def _budget(self) -> Wall:
        before = self._fleet.vendors_calls()
        seen = self._load(POOR_KEY, _WALL_RATE, _WALL_SECONDS)
        passed = self._count(seen, refused=True)
        row = self._drained().get("poor", NOTHING)
        vendor = self._fleet.vendors_calls() - before
        wall = Wall("budget", seen.all_answers, CALLS_PAID, passed, vendor, row.good)
        spent = self._redis.spent("poor")
        return replace(wall, spent=row.cost, in_redis=spent, amount=BUDGET)

    def _load(self, key: str, rate: float, seconds: float) -> Recorder:
        return load.run(self._urls, key, rate, seconds, self._folder)

    def _count(self, seen: Recorder, *, refused: bool = False) -> int:
        """Count the answers; returns how many were good. What may be `refused` is not wrong."""
        size = self.size
        size.answers += seen.all_answers
        for kind, number in seen.errors.items():
            if kind == _UNHEARD:
                size.unheard += number
            elif not (refused and kind == _REFUSED):
                size.wrong[kind] = size.wrong.get(kind, 0) + number
        if seen.unfinished:
            size.wrong["unfinished"] = size.wrong.get("unfinished", 0) + seen.unfinished
        return seen.all_answers - seen.errors.total()

    def _drained(self) -> dict[str, Recorded]:
        """What PostgreSQL has, once it has a row for each answer; after a while, what it has."""
        until = monotonic() + _DRAIN
        while True:
            found = stores.recorded(self._fleet.store)
            if sum(row.rows for row in found.values()) >= self.size.answers or monotonic() > until:
                return found
            time.sleep(_POLL)


def run(hosts: int, pace: Pace, folder: Path, tell: Tell) -> Size:
    """Start, measure, end. Raises ChildFailed."""
    began = monotonic()
    network = Network(hosts)
    with network.up(), ExitStack() as stack:
        tell("starting")
        fleet = Fleet.start(stack, network, folder)
        size = _Run(fleet, pace, folder, tell).run()
        tell("ending")
    size.seconds = monotonic() - began
    return size
