"""What accounting costs a worker at work: `python -m bench.micro.accounting_in_place`.

A worker in this process serves the load generator, between it and the mock vendor, and changes the
way in which it accounts every 250 requests: not at all, the plain way, the quick one. Each turn is
measured as CPU time of this thread and compared with the turn beside it that did not account: what
comes and goes on a shared machine is in both. The median of these differences is what a record
costs, cold caches, page faults and what it pushes out of the caches included. `inside` is the
median time of one call, steadier and without the last. The goal is for the way that workers use.
"""

import argparse
import asyncio
import gc
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles

import uvloop

from bench.children import Child
from bench.measure import cores, pin
from bench.table import table
from bench.targets import KEY, start_vendor
from proxy.base.clock import monotonic
from proxy.build.accounting import price_table, pricer
from proxy.build.runtime import build
from proxy.config.load import load
from proxy.config.snapshot import Snapshot
from proxy.core.exchange import Exchange
from proxy.server.handler import Handler
from proxy.server.listener import HttpServer
from proxy.usage.lines import Lines
from proxy.usage.recording import Identity, record_of_exchange
from proxy.usage.spool import Spool, SpoolOptions
from proxy.wire.record import line_of

_GOAL = 10.0  # µs per request, of _JUDGED.
_JUDGED = "quick line, appended"
_TURN = 250
_WARM = 20  # Turns.
_START = 15.0  # Seconds until the load generator has begun, at most.

_CONFIG = """\
auth: required
keys:
  - {{name: bench, key: {key}, team: red, project: apollo, models: ["*"]}}
providers:
  vendor: {{kind: openai, base_url: {upstream}, api_keys: [sk-vendor]}}
proxies: {{none: ["*"]}}
store: none
models:
  "*": {{targets: [{{provider: vendor, model: "*", price: {{input: 2.5, output: 10}}}}]}}
"""

Way = Callable[[Exchange], object]


class _Turns:
    """The port `Ledger`: accounts in one way for a turn, then in the next."""

    def __init__(self, ways: dict[str, Way]) -> None:
        self.took: dict[str, list[float]] = {name: [] for name in ways}
        self.inside: dict[str, list[float]] = {name: [] for name in ways}
        self._ways = list(ways.items())
        self._number = 0
        self._left = _TURN
        self._name, self._way = self._ways[0]
        self._calls = self.inside[self._name]
        self._begun = time.thread_time()

    def admit(self) -> None:
        """Nothing can stand in the way."""

    def settle(self, x: Exchange, /) -> None:
        """Account, and count."""
        begun = monotonic()
        self._way(x)
        self._calls.append(monotonic() - begun)
        self._left -= 1
        if not self._left:
            self._next()

    def _next(self) -> None:
        now = time.thread_time()
        self.took[self._name].append((now - self._begun) / _TURN * 1e6)
        self._number += 1
        self._name, self._way = self._ways[self._number % len(self._ways)]
        self._calls = self.inside[self._name]
        self._left = _TURN
        self._begun = time.thread_time()

    def more(self, name: str) -> list[float]:
        """What a way costs more than none, turn by turn; none itself: what all the rest costs."""
        none = self.took["none"][_WARM:]
        if name == "none":
            return none
        return [one - base for one, base in zip(self.took[name][_WARM:], none, strict=False)]

    def rows(self) -> list[list[str]]:
        """What each way costs more than none."""
        rows = [["µs of CPU per request", "median", "quartiles", "inside", "turns"]]
        for name in self.took:
            more = self.more(name)
            low, _, high = quantiles(more, n=4)
            inside = (median(self.inside[name]) - median(self.inside["none"])) * 1e6
            figures = f"{median(more):.2f}", f"{low:.1f} to {high:.1f}", f"{inside:.2f}"
            rows.append([name, *figures, str(len(more))])
        return rows


def ways(snapshot: Snapshot, folder: Path) -> dict[str, Way]:
    """The ways of accounting, each with what it needs."""
    settings = snapshot.settings
    prices, identity = pricer(settings, price_table(settings)), Identity("worker-0")
    spool = Spool(folder, "worker-0", SpoolOptions())
    spool.open()
    lines, append = Lines(identity, prices), spool.append
    return {
        "none": lambda _: None,
        "plain way, appended": lambda x: append(line_of(record_of_exchange(x, identity, prices))),
        "quick line": lines.of,
        "quick line, appended": lambda x: append(lines.of(x)),
    }


async def _serve(
    snapshot: Snapshot,
    turns: _Turns,
    listener: socket.socket,
    generator: Callable[[], Child],
    limit: float,
) -> None:
    built = build(snapshot, turns)
    server = HttpServer(Handler(built.runtime))
    await server.start(listener)
    gc.collect()
    gc.freeze()  # As a worker does.
    gc.set_threshold(20_000, 20, 100)
    with generator() as child:
        said = await asyncio.to_thread(child.line, limit)
    await server.stop(1.0)
    built.close()
    if said["errors"]:
        sys.exit(f"wrong answers: {said['errors']}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary one)")
    given = parser.parse_args()
    own, *others = cores()
    pin(0, [own])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.folder)))
        vendor = start_vendor(stack, others or [own])
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))
        port = listener.getsockname()[1]
        file = folder / "config.yaml"
        file.write_text(_CONFIG.format(key=KEY, upstream=vendor.url))
        snapshot = load(file, env={})
        turns = _Turns(ways(snapshot, folder))
        asked = ["--url", f"http://127.0.0.1:{port}/v1", "chat", "--seconds", str(given.seconds)]
        uvloop.run(
            _serve(
                snapshot,
                turns,
                listener,
                lambda: Child("load", ["-m", "bench.load", *asked], cores=others or [own]),
                given.seconds + _START,
            )
        )
    print(table(turns.rows()))
    cost = median(turns.more(_JUDGED))
    reached = cost <= _GOAL
    print(f"a record: {cost:.1f} µs, goal {_GOAL:.0f}: {'reached' if reached else 'MISSED'}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
