"""What PostgreSQL takes: `python -m bench.hosts.rows [--shippers 1 2 4] [--batch 500]`.

So many shippers, each a process as control of a host is, ship batches of records as fast as they
can into one database: all of the same keys, so that they meet at the same hourly sums, as hosts of
one service do. Told are rows a second and what PostgreSQL uses for each, all with `fsync`. Needs no
root. Exit status: 0, or 2 when it could not be run.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import uvloop

from bench.children import Child, ChildFailed
from bench.faults_proxy import open_to_all
from bench.harness.watch import tree_seconds
from bench.measure import cores
from bench.table import table
from proxy.base.clock import monotonic, wall
from proxy.base.ids import RequestIds
from proxy.base.jsonio import dumps
from proxy.stores.postgres.usage import PostgresUsage
from proxy.wire.record import AttemptRecord, Cost, Usage, UsageRecord

_READY = 30.0
_KEYS, _TEAMS = 50, 7
_USED, _COST = Usage(input=230, output=40), Cost(total=195_000, input=115_000, output=80_000)


def records(ids: RequestIds, first: int, count: int) -> list[UsageRecord]:
    """Usual records, one after the other of another key."""
    attempt = AttemptRecord(
        provider="vendor", model="m", started=100, ended=900, status=200, usage=_USED, cost=_COST
    )
    return [
        UsageRecord(
            id=ids.new(), at=int(wall() * 1e6), worker="worker-0", config="c0ffee",
            operation="chat", outcome="completed", status=200, done=1000,
            key=f"key-{number % _KEYS}", team=f"team-{number % _TEAMS}", model="m", route="m",
            served_provider="vendor", served_model="m", usage=_USED, cost=_COST.total,
            attempts=(attempt,),
        )
        for number in range(first, first + count)
    ]  # fmt: skip


async def ship(dsn: str, segment: str, batch: int, seconds: float) -> tuple[int, float]:
    """Ship for so long; how many rows were kept, in what time."""
    store, ids, kept = PostgresUsage(dsn), RequestIds(), 0
    began = monotonic()
    while monotonic() - began < seconds:
        kept = await store.ship(segment, kept, kept + batch, records(ids, kept, batch))
    took = monotonic() - began
    await store.close()
    return kept, took


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m bench.hosts.rows",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--shippers", type=int, nargs="+", default=[1, 2, 4])
    options.add_argument("--batch", type=int, default=500, help="records in a transaction")
    options.add_argument("--seconds", type=float, default=4.0)
    options.add_argument("--ship", nargs=2, metavar=("URL", "SEGMENT"), help="be one of them")
    return options


def _row(dsn: str, postgres: Child, shippers: int, given: argparse.Namespace) -> list[str]:
    own = ["-m", "bench.hosts.rows", "--seconds", str(given.seconds), "--batch", str(given.batch)]
    before, began = tree_seconds(postgres.pid), monotonic()
    with ExitStack() as stack:
        children = []
        for number in range(shippers):
            ours = [*own, "--ship", dsn, f"bench-{shippers}-{number}"]
            children.append(stack.enter_context(Child("shipper", ours, cores=cores())))
        found = [child.line(given.seconds + _READY) for child in children]
        used, took = tree_seconds(postgres.pid) - before, monotonic() - began
    rows = sum(each["rows"] for each in found)
    a_second = sum(each["rows"] / each["seconds"] for each in found)
    return [str(shippers), f"{a_second:,.0f}", f"{1e6 * used / rows:.1f}", f"{used / took:.2f}"]


def _measure(given: argparse.Namespace) -> list[list[str]]:
    with tempfile.TemporaryDirectory(prefix="llm-proxy-rows-") as name, ExitStack() as stack:
        open_to_all(Path(name))
        arguments = ["-m", "bench.hosts.database", "--folder", name]
        postgres = stack.enter_context(Child("postgres", arguments, cores=cores()))
        dsn = postgres.line(_READY)["store"]
        _ = _row(dsn, postgres, 1, argparse.Namespace(seconds=0.5, batch=given.batch))
        return [_row(dsn, postgres, shippers, given) for shippers in given.shippers]


def main(arguments: Sequence[str] | None = None) -> int:
    given = _options().parse_args(arguments)
    if given.ship is not None:
        dsn, segment = given.ship
        rows, seconds = uvloop.run(ship(dsn, segment, given.batch, given.seconds))
        print(dumps({"rows": rows, "seconds": seconds}).decode(), flush=True)
        return 0
    try:
        found = _measure(given)
    except ChildFailed as failure:
        print(f"cannot run: {failure}", file=sys.stderr)
        return 2
    print(table([["shippers", "rows/s", "PostgreSQL us a row", "its cores"], *found]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
