"""What limits and budgets in Redis cost a worker: `python -m bench.micro.gate_redis [--keys N]`.

The requests of `bench.micro.gate`, 64 at a time, with a gate that does nothing, with the memory
store, and with a Redis of its own that is started beside it. CPU of this process per request, user
and system, of each round: what else the machine does is not in it, though it can make it slower.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from statistics import median
from time import process_time

import uvloop

from bench.micro.gate import Requests, no_gate, walled_gate
from bench.table import table
from bench.walls_redis import start
from proxy.base.tasks import Tasks
from proxy.core.caller import Caller
from proxy.core.gate import Gate
from proxy.stores.memory.store import MemoryQuotas
from proxy.stores.redis.quotas import RedisQuotas

_AT_ONCE = 64
_PER_ROUND = 4000


async def _round(requests: Requests, gate: Gate, ring: Iterator[Caller]) -> float:
    left = _PER_ROUND

    async def one_after_another() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await requests.through(gate, next(ring))

    tasks = Tasks()
    before = process_time()
    for task in [tasks.spawn(one_after_another(), name="load") for _ in range(_AT_ONCE)]:
        await task
    return (process_time() - before) / _PER_ROUND * 1e6


async def _figures(port: int, rounds: int, keys: int) -> dict[str, list[float]]:
    requests = Requests(keys)
    ring = cycle(requests.callers)
    store = RedisQuotas(f"redis://127.0.0.1:{port}", deadline=1.0)
    gates = {
        "none": no_gate(),
        "memory": walled_gate(MemoryQuotas()),
        "redis": walled_gate(store),
    }
    figures: dict[str, list[float]] = {name: [] for name in gates}
    tasks = Tasks()
    _ = tasks.spawn(store.run(), name="redis")
    await store.connected(5.0)
    try:
        for _ in range(rounds):
            for name, gate in gates.items():
                figures[name].append(await _round(requests, gate, ring))
        await store.settled()
    finally:
        await tasks.cancel()
        await store.close()
    return figures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--keys", type=int, default=1000)
    given = parser.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        port = start(stack, Path(folder))
        figures = uvloop.run(_figures(port, given.rounds, given.keys))
    none = figures.pop("none")
    rows = [("µs of CPU per request, more than without", "best", "median")]
    for name, found in figures.items():
        best, middle = min(found) - min(none), median(found) - median(none)
        rows.append((name, f"{best:.1f}", f"{middle:.1f}"))
    print(table(rows))


if __name__ == "__main__":
    main()
