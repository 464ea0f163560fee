"""The fault run: `python -m bench.faults [--requests 100000] [--kills 10] [--seed N]`.

Starts the real service with its embedded store, sends requests, kills control and the worker at
random, kills and stops PostgreSQL in the middle, waits for the spool to empty, and compares what
clients saw with what the store says. Exit status: 0 every answer has exactly one record and all
sums agree, 1 something is missing, duplicated or differs, 2 it could not be run.
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

from bench import faults_show as show
from bench.children import ChildFailed
from bench.faults_load import Pace
from bench.faults_proxy import open_to_all
from bench.faults_run import Outcome, Plan, run
from bench.measure import raise_file_limit


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m bench.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--requests", type=int, default=100_000)
    options.add_argument("--kills", type=int, default=10, help="of control and the worker, in all")
    options.add_argument("--seed", type=int, default=1, help="of the requests and the kills")
    options.add_argument("--rate", type=float, default=1000, help="requests a second, 0: no limit")
    options.add_argument("--concurrency", type=int, default=64)
    options.add_argument("--keys", type=int, default=64, help="how many callers there are")
    options.add_argument("--drain", type=float, default=180.0, help="seconds the spool may take")
    options.add_argument("--json", type=Path, help="write the outcome there")
    options.add_argument("--keep", type=Path, help="keep the data_dir there, when not good")
    return options


def _run(given: argparse.Namespace) -> int:
    pace = Pace(given.requests, given.rate, given.concurrency)
    plan = Plan(pace, given.kills, given.keys, given.seed, drain=given.drain)
    with tempfile.TemporaryDirectory(prefix="llm-proxy-faults-") as name:
        folder = Path(name)
        open_to_all(folder)
        try:
            with ExitStack() as stack:
                outcome = uvloop.run(run(plan, stack, folder))
        except ChildFailed as failure:
            print(f"cannot run: {failure}", file=sys.stderr)
            return 2
        if given.keep is not None and not outcome.verdict.good:
            shutil.copytree(folder, given.keep, ignore=shutil.ignore_patterns("socket"))
    _tell(given, outcome)
    return 0 if outcome.verdict.good else 1


def _tell(given: argparse.Namespace, outcome: Outcome) -> None:
    verdict = outcome.verdict
    print(show.table(outcome.book, verdict, outcome.done, outcome.times))
    print(f"most records waiting  {outcome.most_behind:,}; dead letters {outcome.dead_letters}")
    if not outcome.drained:
        print("the spool was not empty when the time was up")
    if not verdict.good:
        print(f"\nthe proxy {outcome.log}")
    print("\n" + ("every answer has its record, once" if verdict.good else "NOT GOOD"))
    if given.json is not None:
        made = {
            **{name: getattr(given, name) for name in ("requests", "kills", "seed", "rate")},
            "concurrency": given.concurrency,
            "keys": given.keys,
            "seconds": {what: round(value, 2) for what, value in outcome.times.items()},
            "most_records_waiting": outcome.most_behind,
            "dead_letters": outcome.dead_letters,
            "drained": outcome.drained,
        }
        show.write(given.json, show.as_json(outcome.book, verdict, outcome.done, made))


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
