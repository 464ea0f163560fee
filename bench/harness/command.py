"""`llm-proxy bench`: measure, compare, draw the report again, or serve as the mock vendor.

Exit status: 0 all is well; 1 answers were wrong or a budget was exceeded; 2 it could not be run.
Every process that it starts ends with it, on Ctrl-C and SIGTERM too; what was measured by then is
still shown and written.
"""

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from bench.children import ChildFailed
from bench.harness import (
    budgets,
    cold,
    compare,
    options,
    peers,
    picture,
    progress,
    report,
    results,
    show,
    stand,
)
from bench.harness.results import DIRECT, Measurement
from bench.harness.run import WARMUP, Effort, Target
from bench.harness.suite import Suite, wrong
from bench.measure import pin, raise_file_limit

_BAD = 2
_PEERS_WARMUP = 4.0
"""Seconds that compilers at run time need until they are at their best."""


def main(arguments: list[str]) -> int:
    """Run one of the commands."""
    # Both unwind, so that no child outlives us; a shell's background job would ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    match arguments:
        case ["compare", *rest]:
            return compare.main(rest)
        case ["report", *rest]:
            return report.main(rest)
        case ["picture", *rest]:
            return picture.main(rest)
        case ["vendor", *rest]:
            from bench import vendor  # noqa: PLC0415 - Sockets and a loop: not for --help.

            vendor.main(rest)
            return 0
        case _:
            return _bench(arguments)


def _terminated(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _bench(arguments: list[str]) -> int:
    given = options.parser().parse_args(arguments)
    try:
        goals = given.budgets or (budgets.OURS if options.as_ours(given) else None)
        limits = budgets.as_rows(budgets.read(goals)) if goals is not None else []
        with ExitStack() as stack:
            suite = replace(_suite(stack, given, arguments), budgets=limits)
            found: list[Measurement] = []
            ended = _run(suite, found)
    except (ChildFailed, budgets.BadBudgets, ValueError, OSError) as failure:
        sys.stderr.write(f"llm-proxy bench: {failure}\n")
        return _BAD
    if not found:
        return ended
    return max(ended, _tell(suite.results(found), given))


def _run(suite: Suite, found: list[Measurement]) -> int:
    minutes = max(round(suite.seconds / 60), 1)
    sys.stderr.write(f"{suite.steps} measurements, about {minutes} min\n")
    try:
        suite.run(found, progress.on_stderr(suite.steps))
    except ChildFailed as failure:
        sys.stderr.write(f"\nllm-proxy bench: {failure}\n")
        return _BAD
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return 130
    return 0


def _tell(made: results.Results, given: argparse.Namespace) -> int:
    verdicts = budgets.verdicts(made)
    print(f"\n{show.text(made)}")
    if verdicts:
        print(f"\n{budgets.table_of(verdicts)}\n\n{budgets.summary(verdicts)}")
    if given.json is not None:
        made.write(given.json)
    if given.report is not None:
        report.write(made, given.report)
    if given.picture is not None:
        picture.write(made, given.picture)
    for path in filter(None, (given.json, given.report, given.picture)):
        print(f"written to {path}")
    ordered = given.vendor_errors or given.vendor_cuts
    bad = wrong(made) and not ordered
    missed = given.budgets is not None and any(not verdict.kept for verdict in verdicts)
    return 1 if bad or missed else 0


def _suite(stack: ExitStack, given: argparse.Namespace, arguments: list[str]) -> Suite:
    under_test, beside = options.split_cores()
    pin(0, beside)
    raise_file_limit()
    wanted = options.scenarios(given)
    fresh = None
    if given.url is None:
        place = tempfile.TemporaryDirectory(prefix="llm-proxy-bench-")
        folder = Path(stack.enter_context(place))
        targets, vendor = _stand(stack, given, folder, under_test, beside)
        if not cold.can_start() and any(each.fresh for each in wanted):
            sys.stderr.write("llm-proxy bench: left out: cold needs the extra `embedded`\n")
            wanted = [each for each in wanted if not each.fresh]
        fresh = cold.Cold(stack, vendor, folder, under_test=under_test, beside=beside).measure
    else:
        targets, vendor = _named(given), None
    effort = Effort(
        beside,
        warmup=given.warmup or (_PEERS_WARMUP if given.peers else WARMUP),
        silence=given.timeout,
        processes=given.processes,
        beside=[vendor.root] if vendor is not None and vendor.root is not None else [],
    )
    shown = options.without_keys(arguments)
    retries = given.retries if given.url is None else 0
    made = Suite(targets, wanted, effort, shown, retries, cold=fresh)
    if not made.steps:
        named = ", ".join(f"{each.name} ({', '.join(each.of)})" for each in wanted)
        raise ValueError(f"nothing to measure: no target of this run is one for {named}")
    return made


def _stand(
    stack: ExitStack,
    given: argparse.Namespace,
    folder: Path,
    under_test: list[int],
    beside: list[int],
) -> tuple[list[Target], Target]:
    vendor = stand.start_vendor(stack, beside, errors=given.vendor_errors, cuts=given.vendor_cuts)
    made = [vendor]
    if "bare" in given.targets:
        made.append(stand.start_bare(stack, vendor, under_test))
    if "proxy" in given.targets:
        made.append(stand.start_proxy(stack, vendor, under_test, folder))
    made = [each for each in made if each.name in given.targets]
    for name in given.peers:
        try:
            peer = peers.start(
                stack, name, given.peers_folder, vendor, cores=under_test, folder=folder
            )
            made.append(peer)
        except ChildFailed as failure:
            sys.stderr.write(f"llm-proxy bench: left out: {failure}\n")
    return made, vendor


def _named(given: argparse.Namespace) -> list[Target]:
    key, model, verify = options.key(given), given.model, not given.insecure
    made = [
        Target(
            "url", given.url, key, model, None, given.pid, f"{given.url}, as named", verify=verify
        )
    ]
    if given.direct:
        about = f"{given.direct}, without what the others add"
        made.insert(0, Target(DIRECT, given.direct, key, model, about=about, verify=verify))
    for each in given.peer:
        name, _, url = each.partition("=")
        if not name or not url or name in {one.name for one in made}:
            raise ValueError(f"--peer {each}: not of the form NAME=URL with a new name")
        made.append(Target(name, url, key, model, about=f"{url}, as named", verify=verify))
    return made
