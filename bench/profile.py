"""Where the worker's time goes: `python -m bench.profile [--scenario chat] [--native]`.

One worker with everything on (harness/stand.py) under load, sampled from outside by py-spy: a flame
graph as SVG, and tables of what uses most itself, by function and by package. Microseconds are the
samples' share of the CPU that the worker used for an answer, or for a chunk, in the same window.
Without `--native` the time that C code takes is its Python caller's; with it libraries are told
apart, and py-spy stops the worker for longer at each sample. `walls` is `chat` with limits and
budgets in Redis. Exit status: 0, or 2 when it could not be run.
"""

import argparse
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bench import flame, walls_redis
from bench.children import Child, ChildFailed
from bench.faults_proxy import open_to_all
from bench.harness import stand
from bench.harness.results import Sample
from bench.harness.run import Effort, Target, measure
from bench.harness.scenarios import SCENARIOS, Shape
from bench.measure import cores, find_below, pin, raise_file_limit
from bench.sampler import Recording, find
from bench.table import table
from bench.targets import KEY, first_answer, free_port

LOADS = {
    "chat": "chat",
    "chunks": "paced",
    "prompt-200k": "prompt-200k",
    "prompt-2m": "prompt-2m",
    "walls": "chat",
}
_OF = "proxy/processes/worker.py"
"""The frame that every stack of the event loop's thread has."""
_RATE, _RATE_NATIVE = 400, 150
_BESIDE = 3.0  # Seconds of load before and after the recording.
_LATE = 30.0
_FEW = 16
_BUILD = Path("build")


class Profile(NamedTuple):
    """What was found. `cost`: microseconds of the worker for each of `unit`."""

    stacks: Counter[flame.Stack]
    cost: float
    unit: str
    wrong: float = 0.0


def _start(stack: ExitStack, folder: Path, *, redis: bool) -> tuple[Target, Target]:
    """The vendor, and the proxy with one worker. Raises ChildFailed."""
    beside, under_test = cores()[-1:], cores()[:1]
    pin(0, beside)
    vendor = stand.start_vendor(stack, beside)
    if not redis:
        return vendor, stand.start_proxy(stack, vendor, under_test, folder)
    port, config = free_port(), folder / "proxy.yaml"
    text = stand.configuration(vendor.url.removesuffix("/v1"), port, folder, "embedded")
    config.write_text(f"{text}redis: redis://127.0.0.1:{walls_redis.start(stack, folder)}\n")
    arguments = ["-m", "proxy.cli.main", "serve", "--config", str(config)]
    child = stack.enter_context(Child("proxy", arguments, cores=under_test))
    url = f"http://127.0.0.1:{port}/v1"
    first_answer(url, child)
    worker = find_below(child.pid, "worker-0")
    if worker is None:
        raise ChildFailed("proxy: no process of it has worker-0 in its command line")
    return vendor, Target("proxy", url, KEY, judged=worker, root=child.pid)


def record(name: str, seconds: int, *, native: bool, folder: Path) -> Profile:
    """Make the load, and sample meanwhile. Raises ChildFailed."""
    program = find(_BUILD)
    scenario = SCENARIOS[LOADS[name]]
    if name == "walls":  # Redis shares a core with the load, and may not be late.
        scenario = replace(scenario, shape=Shape(connections=_FEW))
    rate = _RATE_NATIVE if native else _RATE
    with ExitStack() as stack:
        vendor, proxy = _start(stack, folder, redis=name == "walls")
        assert proxy.judged is not None
        judged, output = proxy.judged, folder / "stacks"
        recordings: list[Recording] = []
        begins = (scenario.shape.ramp + 1.0) / (seconds + _BESIDE + scenario.shape.ramp)

        def look(share: float, _: Sample) -> None:
            if not recordings and share >= begins:
                made = Recording(program, judged, output, seconds=seconds, rate=rate, native=native)
                stack.enter_context(made.child)
                recordings.append(made)

        effort = Effort(cores()[-1:], seconds + _BESIDE, beside=[vendor.root or 0])
        measured = measure(proxy, scenario, 1, effort, look)
        if not recordings:
            raise ChildFailed("the load was over before it was recorded")
        text = recordings[0].stacks(_LATE)
    unit = "chunk" if scenario.streamed else "answer"
    try:
        return Profile(
            flame.read(text, _OF), measured.figures["cpu_us"], unit, measured.figures["wrong"]
        )
    except ValueError as error:
        raise ChildFailed(f"py-spy recorded nothing of the worker: {error}") from None


def tables(found: Profile, top: int) -> str:
    """By package, and by function, for people."""
    rows = [("itself, by package", "share", f"us/{found.unit}")]
    rows += _rows(flame.by_part(found.stacks), found, top)
    first = table(rows)
    whole = flame.whole_time(found.stacks)
    wide = [("itself, by function", "share", f"us/{found.unit}", "with callees")]
    for name, share, cost in _rows(flame.self_time(found.stacks), found, top):
        wide.append((name, share, cost, f"{whole[name] / found.stacks.total() * found.cost:.1f}"))
    return f"{first}\n\n{table(wide)}"


def _rows(counts: Mapping[str, int], found: Profile, top: int) -> list[tuple[str, str, str]]:
    total = found.stacks.total()
    ordered = sorted(counts.items(), key=lambda each: -each[1])[:top]
    return [(n, f"{many / total:.1%}", f"{many / total * found.cost:.1f}") for n, many in ordered]


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m bench.profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--scenario", choices=list(LOADS), default="chat")
    options.add_argument("--seconds", type=int, default=10, help="of the recording")
    options.add_argument("--top", type=int, default=40, help="rows of each table")
    options.add_argument("--native", action="store_true", help="tell C libraries apart")
    options.add_argument("--out", type=Path, help="default: build/profile-<scenario>.svg")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    given = _options().parse_args(arguments)
    raise_file_limit()
    # Both unwind, so that no child outlives us; a shell's background job would ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out = given.out or _BUILD / f"profile-{given.scenario}.svg"
    with tempfile.TemporaryDirectory(prefix="llm-proxy-profile-") as name:
        open_to_all(Path(name))
        try:
            found = record(given.scenario, given.seconds, native=given.native, folder=Path(name))
        except ChildFailed as failure:
            print(f"cannot run: {failure}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
    title = f"llm-proxy, {given.scenario}: {found.cost:.0f} us of the worker for each {found.unit}"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(flame.svg(found.stacks, title))
    print(f"{tables(found, given.top)}\n\n{title}\n{found.stacks.total()} samples, drawn in {out}")
    if found.wrong:
        print(f"{found.wrong:.0f} answers were wrong: this is no profile of good ones")
    return 0


if __name__ == "__main__":
    sys.exit(main())
