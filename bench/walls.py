"""The walls, tried: `python -m bench.walls [--calls 100000] [--workers 4] [--store redis|memory]`.

Starts the real service with its embedded store before a vendor that keeps books, makes calls of all
kinds from many callers whose budgets are too small for them, kills workers, watches the counters,
and compares them with the records and with what the vendor is owed. `--only rpm` counts a limit of
1,000 a minute over all workers; `--only cost` measures what walls cost a worker. Exit status: 0
every wall stood (or the goal is reached), 1 one was passed, 2 it could not be run.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import uvloop

from bench import faults_show, walls_cost, walls_rpm, walls_show
from bench.children import ChildFailed
from bench.faults_load import Pace
from bench.faults_proxy import open_to_all
from bench.measure import raise_file_limit
from bench.walls_run import Plan, run


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m bench.walls",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--only", choices=["budgets", "rpm", "cost"], default="budgets")
    options.add_argument("--calls", type=int, default=100_000)
    options.add_argument("--workers", type=int, help="default: 4 with Redis, 1 with memory")
    options.add_argument("--store", choices=["redis", "memory"], default="redis")
    options.add_argument("--seed", type=int, default=1, help="of prices, budgets, calls and kills")
    options.add_argument("--kills", type=int, help="of workers; default: 10 with Redis, else none")
    options.add_argument("--concurrency", type=int, default=200)
    options.add_argument("--rate", type=float, default=600, help="calls a second, 0: no limit")
    options.add_argument("--drain", type=float, default=60.0, help="seconds until all is recorded")
    options.add_argument("--seconds", type=float, help="rpm: of the long part; cost: of a window")
    options.add_argument("--json", type=Path, help="write the outcome there")
    options.add_argument("--keep", type=Path, help="keep the data_dir there, when not good")
    return options


def _plan(given: argparse.Namespace) -> Plan:
    redis = given.store == "redis"
    workers = given.workers or (4 if redis else 1)
    kills = given.kills if given.kills is not None else 10 if redis else 0
    pace = Pace(given.calls, given.rate, given.concurrency)
    return Plan(pace, workers, redis, kills, given.seed, given.drain)


def _budgets(given: argparse.Namespace, stack: ExitStack, folder: Path) -> bool:
    plan = _plan(given)
    found = uvloop.run(run(plan, stack, folder))
    print(walls_show.table(found))
    if not found.good:
        print(f"\nthe proxy {found.log}")
    print("\n" + ("every wall stood" if found.good else "NOT GOOD"))
    if given.json is not None:
        made = {"workers": plan.workers, "store": given.store, "seed": given.seed}
        faults_show.write(given.json, walls_show.as_json(found, made))
    return found.good


def _run(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="llm-proxy-walls-") as name:
        folder = Path(name)
        open_to_all(folder)
        try:
            with ExitStack() as stack:
                if given.only == "rpm":
                    workers = given.workers or 4
                    good = walls_rpm.measure(stack, folder, workers, given.seconds or 125.0)
                elif given.only == "cost":
                    good = walls_cost.measure(stack, folder, given.seconds or 3.0)
                else:
                    good = _budgets(given, stack, folder)
        except ChildFailed as failure:
            print(f"cannot run: {failure}", file=sys.stderr)
            return 2
        if given.keep is not None and not good:
            shutil.copytree(folder, given.keep, ignore=shutil.ignore_patterns("socket"))
    return 0 if good else 1


def main(arguments: Sequence[str] | None = None) -> int:
    given = _options().parse_args(arguments)
    raise_file_limit()
    # Both unwind, so that no child outlives us; a shell's background job would ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _run(given)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
