"""What only a worker knows of itself, once a second, in a small file for control to read.

Counts of requests come from the records; this is for what no record says: requests in flight, how
late the event loop is, whether the spool can be written and limits can be counted. A file that is
older than `STALE` belongs to a worker that is gone; so does one from the future, as the clock may
have stepped back since.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from proxy.base.clock import monotonic, wall
from proxy.base.jsonio import JSONError, dumps, loads

log = logging.getLogger("llm-proxy.pulse")

_BEAT = 1.0
STALE = 5.0


@dataclass(frozen=True, slots=True)
class Pulse:
    """One worker, now."""

    worker: str
    pid: int
    at: float  # Seconds since the epoch.
    config: str
    in_flight: int
    loop_lag: float  # Seconds: the latest this loop was since the last beat.
    spool_failing: bool
    spool_lost: int
    spool_waiting: int
    queue: int = 0  # Requests that wait for a slot.
    queued: dict[str, int] = field(default_factory=dict)  # By provider: those that wait for it.
    quota_failing: str | None = None  # Why limits and budgets cannot be counted.
    keys_failing: str | None = None  # Why keys of the store cannot be looked up.
    unready: str | None = None  # Why nothing at all is served.
    targets: list[dict[str, object]] = field(default_factory=list)  # How each of them is.
    keys: dict[str, int] = field(default_factory=dict)  # By provider: how many of ours rest.
    rules: dict[str, int] = field(default_factory=dict)  # How often the expression of each failed.
    tasks: int = 0  # Of asyncio: one for each connection, and a few of its own.


async def beat(folder: Path, worker: str, take: Callable[[float], Pulse]) -> None:
    """Write the pulse once a second, for ever. `take` gets the loop's lag and makes the pulse."""
    path = folder / f"{worker}.json"
    while True:
        pulse = take(await _worst_lag())
        await asyncio.to_thread(_write, path, pulse)


def pulses(folder: Path) -> Iterator[Pulse]:
    """The pulses of the workers that live."""
    for path in sorted(folder.glob("*.json")):
        try:
            pulse = Pulse(**loads(path.read_bytes()))
            lives = abs(wall() - pulse.at) <= STALE
        except (OSError, JSONError, TypeError):
            continue  # Gone, or of another version: the worker's next one is read.
        if lives:
            yield pulse


def _write(path: Path, pulse: Pulse) -> None:
    unready = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unready.write_bytes(dumps(pulse))
        unready.replace(path)
    except OSError as error:
        log.warning("the pulse cannot be written: %s", error)


async def _worst_lag() -> float:
    worst = 0.0
    parts = 10
    for _ in range(parts):
        due = monotonic() + _BEAT / parts
        await asyncio.sleep(_BEAT / parts)
        worst = max(worst, monotonic() - due)
    return worst
