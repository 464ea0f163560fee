"""Several hosts that share one Redis and one PostgreSQL: `python -m bench.hosts [--hosts 1..4]`.

Each host is a network namespace of this machine with `llm-proxy serve` (one worker, a data_dir of
its own); Redis and PostgreSQL are in another, the vendor and the clients in two more. Measured: CPU
per request of every part, at several rates; whether a limit and a budget that all hosts share are
kept; whether PostgreSQL has a record for each answer. Needs root and `ip` (iproute2). Exit status:
0 exact, 1 something was lost, passed or wrong, 2 it could not be run.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.children import ChildFailed
from bench.faults_proxy import open_to_all
from bench.faults_show import write
from bench.hosts import network, show
from bench.hosts.run import Pace, Size, run
from bench.measure import raise_file_limit

_MOST = 8
_SIZES = re.compile(r"(\d+)(?:\.\.(\d+))?$")
_LIMIT = 300


def sizes(text: str) -> list[int]:
    """`3`, or `2..4`. Raises ArgumentTypeError."""
    match = _SIZES.match(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= _MOST:
        raise argparse.ArgumentTypeError(f"a number or A..B, from 1 to {_MOST}")
    return list(range(first, last + 1))


def _rates(text: str) -> tuple[float, ...]:
    return tuple(float(each) for each in text.split(","))


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m bench.hosts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--hosts", type=sizes, default=sizes("1..4"), help="4, or 2..4")
    options.add_argument(
        "--rates", type=_rates, default=Pace().rates, help="requests a second to each host: 75,225"
    )
    options.add_argument("--seconds", type=float, default=Pace().seconds, help="of each window")
    options.add_argument("--json", type=Path, help="write what was found there")
    return options


def _measure(given: argparse.Namespace) -> list[Size]:
    found = []
    pace = Pace(given.rates, given.seconds)
    for hosts in given.hosts:
        with tempfile.TemporaryDirectory(prefix="llm-proxy-hosts-") as name:
            open_to_all(Path(name))

            def tell(what: str, hosts: int = hosts) -> None:
                print(f"{hosts} hosts: {what}", file=sys.stderr, flush=True)

            found.append(run(hosts, pace, Path(name), tell))
    return found


def _run(given: argparse.Namespace) -> int:
    try:
        network.refuse_where_impossible(os.geteuid())
        found = _measure(given)
    except ChildFailed as failure:
        print(f"cannot run: {failure}", file=sys.stderr)
        return 2
    print(show.table(found))
    if given.json is not None:
        write(given.json, show.as_json(found))
    good = all(size.good for size in found)
    print("\n" + ("exact across hosts" if good else "NOT GOOD"))
    return 0 if good else 1


def main(arguments: Sequence[str] | None = None) -> int:
    given = _options().parse_args(arguments)
    raise_file_limit()
    # All of them unwind, so that no child and no namespace outlives us.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(2))
    signal.alarm(_LIMIT)
    try:
        return _run(given)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
