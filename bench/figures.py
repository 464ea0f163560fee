"""The figures of the day: `python -m bench.figures [--seconds N] [--only NAME] [--repeat N]`.

One run measures the vendor directly, the bare aiohttp pass-through and the proxy, alternating, so
that a slow minute of the machine slows all of them. The process under test has one core, vendor and
load the other. Prints a line per measurement, tables of medians and ranges, and writes JSON. Exit
status: 0 all goals reached, 1 one was missed, 2 nothing could be measured.
"""

import argparse
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from bench import goals, scenarios, table, targets
from bench.children import ChildFailed
from bench.measure import cores, pin
from bench.targets import Running
from proxy.base.clock import monotonic
from proxy.base.jsonio import pretty

_SCENARIOS: dict[str, scenarios.Scenario] = {
    "chat": scenarios.chat,
    "chunks": scenarios.chunks,
    "held": scenarios.held,
}
_STARTS: dict[str, targets.Start] = {
    "baseline": targets.start_baseline,
    "proxy": targets.start_proxy,
    "recorded": targets.start_recorded,
}
_TARGETS = ("direct", *_STARTS)
_HEADLINE = {"chat": "cpu_us", "chunks": "cpu_us", "held": "held", "cold": "start_s"}
QUIET = 0.15  # Cores busy with something else, above which a measurement is repeated.
_TRIES = 2  # So many times at most, lest the first take all that are to be had.
_PACKAGES = ("aiohttp", "httptools", "uvloop")


class Figures:
    """One run: servers, repetitions, results."""

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self._given = given
        self._folder = folder
        self._began = monotonic()
        self._all = cores()
        self._under_test, self._beside = [self._all[0]], [self._all[-1]]
        self._retries: int = given.retries
        self.results: goals.Results = {}
        if len(self._all) < 2:
            self._say("only one core: servers and load share it, trust no figure")
        pin(0, self._beside)

    def run(self, stack: ExitStack) -> None:
        wanted: list[str] = self._given.only or [*_SCENARIOS, "cold"]
        vendor = targets.start_vendor(stack, self._beside)
        if "cold" in wanted:
            self._cold(vendor)
        if wanted != ["cold"]:
            servers = self._start(stack, vendor)
            for name in (name for name in _SCENARIOS if name in wanted):
                self._repeat(name, vendor, servers)

    def _start(self, stack: ExitStack, vendor: Running) -> dict[str, Running]:
        servers = {"direct": vendor}
        for name, start in _STARTS.items():
            if name in self._given.targets:
                servers[name] = start(stack, vendor, self._under_test, self._folder)
                self._say(f"{name} answers on {servers[name].url}")
        return {name: server for name, server in servers.items() if name in self._given.targets}

    def _cold(self, vendor: Running) -> None:
        for number in range(self._given.repeat):
            for name in (name for name in _STARTS if name in self._given.targets):
                self._one("cold", name, number, partial(self._cold_once, vendor, _STARTS[name]))

    def _cold_once(self, vendor: Running, start: targets.Start) -> scenarios.Numbers:
        return scenarios.cold(vendor, start, self._all, self._folder)

    def _repeat(self, scenario: str, vendor: Running, servers: dict[str, Running]) -> None:
        bench = scenarios.Bench(self._beside, self._given.seconds, vendor)
        measure = _SCENARIOS[scenario]
        names = list(servers)
        for number in range(self._given.repeat):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                # Only the proxy promises to hold; the others show once that the bench can.
                once = scenario == "held" and name != "proxy" and number > 0
                if not once and (name != "recorded" or scenario == "chat"):
                    self._one(scenario, name, number, partial(measure, bench, servers[name]))

    def _one(
        self, scenario: str, name: str, number: int, measure: Callable[[], scenarios.Numbers]
    ) -> None:
        found = self._quietest(measure)
        self.results.setdefault(scenario, {}).setdefault(name, []).append(found)
        headline = _HEADLINE[scenario]
        wrong = f", {found['wrong']:.0f} WRONG" if found.get("wrong") else ""
        turn = f"{number + 1}/{self._given.repeat}"
        self._say(f"{scenario} {turn} {name}: {headline} {found[headline]:.4g}{wrong}")

    def _quietest(self, measure: Callable[[], scenarios.Numbers]) -> scenarios.Numbers:
        """Measure; if the machine was busy with something else, once more while we may."""
        found = measure()
        for _ in range(_TRIES):
            if found.get("others", 0.0) <= QUIET or not self._retries:
                break
            self._retries -= 1
            self._say(f"others kept {found['others']:.2f} cores busy: once more")
            again = measure()
            found = min(found, again, key=lambda numbers: numbers["others"])
        return found

    def _say(self, text: str) -> None:
        print(f"[{monotonic() - self._began:4.0f} s] {text}", flush=True)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m bench.figures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--seconds", type=float, default=4.0, help="length of a window")
    options.add_argument("--repeat", type=int, default=3, help="repetitions of each measurement")
    options.add_argument("--retries", type=int, default=5, help="of disturbed ones, in all")
    options.add_argument("--only", action="append", choices=[*_SCENARIOS, "cold"])
    options.add_argument("--targets", nargs="+", default=list(_TARGETS), choices=_TARGETS)
    options.add_argument("--json", type=Path, default=Path("build/figures.json"))
    return options


def _write(path: Path, given: argparse.Namespace, figures: Figures) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: version(name) for name in _PACKAGES},
        "seconds": given.seconds,
        "repetitions": given.repeat,
        "disturbed": _disturbed(figures.results),
    }
    verdicts = [
        {"name": v.name, "goal": v.goal, "found": v.found, "reached": v.reached}
        for v in goals.judge(figures.results)
    ]
    path.write_bytes(pretty({"made": made, "goals": verdicts, "results": figures.results}))


def _disturbed(results: goals.Results) -> int:
    runs = [run for names in results.values() for found in names.values() for run in found]
    return sum(run.get("others", 0.0) > QUIET for run in runs)


def _measure(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="llm-proxy-bench-") as folder, ExitStack() as stack:
        figures = Figures(given, Path(folder))
        try:
            figures.run(stack)
        except ChildFailed as failure:
            print(f"cannot measure: {failure}", file=sys.stderr)
            return 2
    verdicts = goals.judge(figures.results)
    print(f"\n{table.numbers_table(figures.results)}\n\n{table.goals_table(verdicts)}")
    if disturbed := _disturbed(figures.results):
        print(f"\n{disturbed} measurements were disturbed by other processes: repeat when quiet")
    _write(given.json, given, figures)
    print(f"\nwritten to {given.json}")
    return 0 if all(verdict.reached for verdict in verdicts) else 1


def main(arguments: Sequence[str] | None = None) -> int:
    given = _options().parse_args(arguments)
    # Both unwind, so that no child outlives us; a shell's background job would ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _measure(given)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
