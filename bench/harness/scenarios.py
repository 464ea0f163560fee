"""What is asked, and in which shape it comes: one row a scenario.

Sizes are of whole requests. A stream's `plan` is for the mock vendor alone (`answers.py`), which is
told it by the model's name and by a header; any other vendor streams as it likes.
"""

from dataclasses import dataclass, replace
from typing import Literal

from bench.harness.schedule import Arrivals

Kind = Literal["chat", "tools", "embeddings"]


@dataclass(frozen=True, slots=True)
class Shape:
    """How requests come. A `rate` makes it an open loop; else `connections` make a closed one,
    begun one after the other over `ramp` seconds."""

    connections: int = 64
    rate: float | None = None
    arrivals: Arrivals = "poisson"
    ramp: float = 0.0

    def words(self) -> str:
        """For people."""
        if self.rate is not None:
            return f"{self.rate:g} a second, {self.arrivals}"
        return f"{self.connections} connection{'s' if self.connections > 1 else ''}"

    def part(self, processes: int) -> "Shape":
        """What one of so many processes has to do."""
        rate = None if self.rate is None else self.rate / processes
        return replace(self, connections=max(1, self.connections // processes), rate=rate)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row."""

    name: str
    says: str
    kind: Kind = "chat"
    kilobytes: int = 1
    plan: str | None = None  # None: not streamed.
    shape: Shape = Shape()

    @property
    def streamed(self) -> bool:
        return self.plan is not None


_ROWS = (
    Scenario("latency", "chat, one caller", shape=Shape(connections=1)),
    Scenario("chat", "chat"),
    Scenario("open", "chat, callers who do not wait", shape=Shape(rate=500.0)),
    Scenario("paced", "500 streams, a chunk each 20 ms", plan="100x20",
             shape=Shape(connections=500, ramp=2.0)),
    Scenario("stream", "streams of 50 chunks, 5 ms apart", plan="50x5"),
    Scenario("embeddings", "one vector of 1,536 numbers", kind="embeddings"),
    Scenario("prompt-20k", "chat, 20 kB", kilobytes=20),
    Scenario("prompt-200k", "chat, 200 kB", kilobytes=200, shape=Shape(connections=16)),
    Scenario("prompt-2m", "chat, 2 MB", kilobytes=2000, shape=Shape(connections=4)),
    Scenario("tools", "chat with tools, answered by a call", kind="tools", kilobytes=2),
    Scenario("tools-stream", "the same, streamed", kind="tools", kilobytes=2, plan="20x5"),
)  # fmt: skip
SCENARIOS = {row.name: row for row in _ROWS}

SUITE = tuple(SCENARIOS)
"""What is run against the mock vendor."""

CAREFUL = ("chat", "stream")
"""What is run against a vendor who may charge for it, unless more is asked for."""
