"""What is asked, and in which shape it comes: one row a scenario.

Sizes are of whole requests. A stream's `plan` is for the mock vendor alone (`answers.py`), which is
told it by the model's name and by a header; any other vendor streams as it likes. Windows and
repetitions are those of a run that takes less than ten minutes: longer where a figure is judged.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from bench.answers import read_plan
from bench.harness.schedule import Arrivals

Kind = Literal["chat", "tools", "embeddings"]


@dataclass(frozen=True, slots=True)
class Shape:
    """How requests come. A `rate` makes it an open loop; else `connections` make a closed one,
    begun one after the other over `ramp` seconds; with `requests` it ends after so many."""

    connections: int = 64
    rate: float | None = None
    arrivals: Arrivals = "poisson"
    ramp: float = 0.0
    requests: int | None = None

    def words(self) -> str:
        """For people."""
        if self.rate is not None:
            return f"{self.rate:g} a second, {self.arrivals}"
        words = f"{self.connections} connection{'s' if self.connections > 1 else ''}"
        return words if self.requests is None else f"{self.requests:,} requests on {words}"

    def part(self, processes: int) -> "Shape":
        """What one of so many processes has to do."""
        rate = None if self.rate is None else self.rate / processes
        many = max(1, self.connections // processes)
        requests = None if self.requests is None else self.requests // processes
        return replace(self, connections=many, rate=rate, requests=requests)


_SHORT = 1.5
"""Seconds of a window in which nothing is judged."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row. `held`: its streams last longer than the window. `fresh`: every measurement has a
    server of its own. `of`: the targets it is for, where not for all that a run starts. `once`:
    those that need no repetition."""

    name: str
    says: str
    kind: Kind = "chat"
    kilobytes: int = 1
    plan: str | None = None  # None: not streamed.
    shape: Shape = Shape()
    seconds: float = 2.5
    repeat: int = 3
    held: bool = False
    fresh: bool = False
    of: tuple[str, ...] = ()
    once: tuple[str, ...] = ()

    @property
    def streamed(self) -> bool:
        return self.plan is not None

    @property
    def pace(self) -> float:
        """Seconds between two chunks of the mock vendor; 0 where it is not streamed."""
        plan = read_plan(self.plan.encode()) if self.plan else None
        return plan.pace if plan is not None else 0.0

    def lasting(self, seconds: float) -> "Scenario":
        """The same with streams that flow for more than so many seconds, where that is wanted."""
        if not self.held or not self.pace:
            return self
        return replace(self, plan=f"{ceil(seconds / self.pace) + 2}x{self.pace * 1000:.0f}")


# What keeps a server busy after its answers, as records that are still to be stored, comes late.
_ROWS = (
    Scenario("cold", "a new server: its start, its memory, its first answers", fresh=True,
             of=("bare", "proxy"), once=("bare",), seconds=60.0,
             shape=Shape(connections=1, requests=100)),
    Scenario("memory", "a new server: its memory before and after", fresh=True, repeat=1,
             of=("bare", "proxy"), seconds=60.0, shape=Shape(requests=50_000)),
    Scenario("latency", "chat, one caller", shape=Shape(connections=1)),
    Scenario("paced", "500 streams, a chunk each 20 ms", plan="100x20",
             shape=Shape(connections=500, ramp=2.0)),
    Scenario("chat", "chat"),
    Scenario("prompt-200k", "chat, 200 kB", kilobytes=200, shape=Shape(connections=16)),
    Scenario("held", "5,000 streams at once, a chunk each second", plan="10x1000", held=True,
             repeat=1, of=("direct", "bare", "proxy"), once=("direct", "bare"),
             shape=Shape(connections=5000, ramp=5.0)),
    Scenario("flood", "500 streams, more chunks than anybody can send", plan="400x1",
             of=("direct",), seconds=_SHORT, shape=Shape(connections=500, ramp=0.5)),
    Scenario("open", "chat, callers who do not wait", shape=Shape(rate=500.0), seconds=_SHORT),
    Scenario("stream", "streams of 50 chunks, 5 ms apart", plan="50x5", seconds=_SHORT),
    Scenario("embeddings", "one vector of 1,536 numbers", kind="embeddings", seconds=_SHORT),
    Scenario("prompt-2m", "chat, 2 MB", kilobytes=2000, shape=Shape(connections=4),
             seconds=_SHORT),
    Scenario("prompt-20k", "chat, 20 kB", kilobytes=20, seconds=_SHORT, repeat=2),
    Scenario("tools", "chat with tools, answered by a call", kind="tools", kilobytes=2,
             seconds=_SHORT, repeat=2),
    Scenario("tools-stream", "the same, streamed", kind="tools", kilobytes=2, plan="20x5",
             seconds=_SHORT, repeat=2),
)  # fmt: skip
SCENARIOS = {row.name: row for row in _ROWS}

SUITE = tuple(SCENARIOS)
"""What is run against the mock vendor."""

CAREFUL = ("chat", "stream")
"""What is run against a vendor who may charge for it, unless more is asked for."""
