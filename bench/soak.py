"""The proxy, worked for hours: `python -m bench.soak [--hours 1 | --minutes 5] [--rate 200]`.

The real service with its embedded store and everything on, before a vendor that fails as well,
asked at a steady rate for all that callers ask for (soak_traffic.py). Once a second memory, open
files and tasks are read (soak_watch.py). Good is: memory grows by no more than 1 MB a minute after
the warm-up, no file and no task is left behind, and nothing came that may not (soak_judge.py).
Exit status: 0 good, 1 not, 2 it could not be run.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from bench import soak_config, soak_plot
from bench.children import Child, ChildFailed
from bench.faults_proxy import open_to_all
from bench.measure import cores, raise_file_limit
from bench.soak_judge import Goal, goals
from bench.soak_load import Load
from bench.soak_traffic import Traffic
from bench.soak_watch import Look, look
from bench.table import table
from bench.targets import first_answer, free_port
from proxy.base.clock import monotonic
from proxy.base.jsonio import dumps
from proxy.base.tasks import Tasks

_EACH = 1.0
_TELL_EACH = 30
_START = 20.0
_LONGER = 600.0  # Than the load, in seconds: the vendor ends by itself all the same.
_REST_BEFORE, _REST_AFTER = 6.0, 20.0
"""Seconds without a request: until the pulse tells, and idle connections are closed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    seconds: float
    warmup: float
    rate: float
    seed: int


@dataclass(frozen=True, slots=True)
class Found:
    """What came out."""

    looks: list[Look]
    goals: list[Goal]
    answers: dict[str, int]
    wrong: dict[str, int]

    @property
    def good(self) -> bool:
        return all(goal.good for goal in self.goals)


class Watch:
    """Looks once a second, beside the load."""

    def __init__(self, root: int, pulses: Path, load: Load, began: float) -> None:
        self._root = root
        self._pulses = pulses
        self._load = load
        self._began = began
        self.looks: list[Look] = []

    async def now(self) -> Look:
        at, answers = monotonic() - self._began, self._load.answers.total()
        return await asyncio.to_thread(look, self._root, self._pulses, at, answers)

    async def run(self) -> None:
        while True:
            self.looks.append(last := await self.now())
            if len(self.looks) % _TELL_EACH == 1:
                _tell(last, self._load)
            await asyncio.sleep(_EACH - (monotonic() - self._began) % _EACH)


def _tell(last: Look, load: Load) -> None:
    wrong = load.wrong.total()
    print(
        f"{last.at / 60:6.1f} min  worker {last.pss.get('worker', 0):6.1f} MB, "
        f"control {last.pss.get('control', 0):6.1f} MB, store {last.pss.get('store', 0):6.1f} MB, "
        f"{last.files.get('worker', 0)} files, {last.tasks} tasks, "
        f"{last.answers:,} answers, {wrong} wrong",
        file=sys.stderr,
        flush=True,
    )


def _start_vendor(stack: ExitStack, seconds: float) -> str:
    """Its base URL. Raises ChildFailed."""
    arguments = ["-m", "bench.vendor", "--for", str(seconds + _LONGER)]
    port = stack.enter_context(Child("vendor", arguments, cores=cores())).line(_START)["port"]
    return f"http://127.0.0.1:{port}/v1"


async def run(plan: Plan, stack: ExitStack, folder: Path) -> Found:
    """Start everything, make the load, judge. Raises ChildFailed."""
    vendor = _start_vendor(stack, plan.seconds)
    port = free_port()
    config = folder / "soak.yaml"
    config.write_text(soak_config.text(vendor, port, folder / "data"))
    arguments = ["-m", "proxy.cli.main", "serve", "--config", str(config)]
    child = stack.enter_context(Child("proxy", arguments, cores=cores()))
    url = f"http://127.0.0.1:{port}/v1"
    await asyncio.to_thread(first_answer, url, child)
    load = Load(Traffic(url, plan.seed), plan.rate, plan.seed)
    await asyncio.sleep(_REST_BEFORE)
    tasks = Tasks()
    watch = Watch(child.pid, folder / "data" / "run", load, monotonic())
    before = await watch.now()
    watching = tasks.spawn(watch.run(), name="watch")
    await load.run(plan.seconds)
    await tasks.cancel()
    if not watching.cancelled() and (failure := watching.exception()) is not None:
        raise failure
    await asyncio.sleep(_REST_AFTER)
    if not child.running:
        raise ChildFailed(f"proxy: {child.why()}")
    after = await watch.now()
    judged = goals(watch.looks, before, after, plan.warmup)
    wrong = +load.wrong
    judged.append(Goal("what may not come", "0", f"{wrong.total()}", not wrong))
    return Found(watch.looks, judged, dict(load.answers), dict(wrong))


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m bench.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    how_long = options.add_mutually_exclusive_group()
    how_long.add_argument("--hours", type=float, default=1.0)
    how_long.add_argument("--minutes", type=float)
    options.add_argument("--warmup", type=float, help="minutes; default: a fifth, 10 at most")
    options.add_argument("--rate", type=float, default=200, help="requests a second")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--plot", type=Path, default=Path("build/soak.svg"))
    options.add_argument("--json", type=Path, help="write every second there")
    options.add_argument("--keep", type=Path, help="keep the data_dir there")
    return options


def _plan(given: argparse.Namespace) -> Plan:
    minutes = given.minutes if given.minutes is not None else given.hours * 60
    warmup = given.warmup if given.warmup is not None else min(minutes / 5, 10.0)
    return Plan(minutes * 60, warmup * 60, given.rate, given.seed)


def _show(plan: Plan, found: Found, given: argparse.Namespace) -> None:
    rows = [["goal", "limit", "found", ""]]
    rows += [[g.name, g.limit, g.found, "ok" if g.good else "MISSED"] for g in found.goals]
    print(table(rows))
    for word, count in sorted(found.wrong.items()):
        print(f"  {word}: {count}")
    told = ", ".join(f"{name} {count:,}" for name, count in found.answers.items())
    print(f"\nanswers: {told}\n{'good' if found.good else 'NOT GOOD'}")
    title = f"{plan.seconds / 60:g} minutes of mixed traffic at {plan.rate:g} requests a second"
    given.plot.parent.mkdir(parents=True, exist_ok=True)
    given.plot.write_text(soak_plot.svg(found.looks, title))
    if given.json is not None:
        given.json.write_bytes(dumps({"plan": asdict(plan), **asdict(found)}))


def _run(given: argparse.Namespace) -> int:
    plan = _plan(given)
    with tempfile.TemporaryDirectory(prefix="llm-proxy-soak-") as name:
        folder = Path(name)
        open_to_all(folder)
        try:
            with ExitStack() as stack:
                found = uvloop.run(run(plan, stack, folder))
                _show(plan, found, given)
        except ChildFailed as failure:
            print(f"cannot run: {failure}", file=sys.stderr)
            return 2
        if given.keep is not None:
            shutil.copytree(folder, given.keep, ignore=shutil.ignore_patterns("socket"))
    return 0 if found.good else 1


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
