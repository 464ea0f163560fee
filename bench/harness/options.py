"""The options of `llm-proxy bench`, and what they come to: scenarios, shapes, effort."""

import argparse
import re
from dataclasses import replace
from pathlib import Path

from bench.answers import read_plan
from bench.harness.peers_setup import NAMES
from bench.harness.scenarios import CAREFUL, SCENARIOS, SUITE, Scenario, Shape
from bench.harness.schedule import ARRIVALS
from bench.measure import cores

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|min)?$")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, None: 1.0}
_MOST_OPEN = 4096
OWN = tuple(name for name, row in SCENARIOS.items() if row.fresh)
STAND = ("direct", "bare", "proxy")


def duration(text: str) -> float:
    """`10s`, `1.5m`, `500ms`, `10` → seconds."""
    found = _DURATION.match(text)
    if found is None or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text}: not of the form 10s, 2m or 500ms")
    return float(found[1]) * _UNITS[found[2]]


def _plan(text: str) -> str:
    if read_plan(text.encode()) is None:
        raise argparse.ArgumentTypeError(f"{text}: not of the form 50x20, 50x20-300 or 50x20b400")
    return text


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}: a whole number from 1")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text}: requests a second, more than 0")
    return rate


def parser() -> argparse.ArgumentParser:
    """All options."""
    made = argparse.ArgumentParser(
        prog="llm-proxy bench",
        description="Measure any OpenAI-compatible server. Without --url: this proxy with "
        "everything on and a bare pass-through, before a mock vendor of its own.",
        epilog="Also: llm-proxy bench compare A.json B.json; llm-proxy bench report A.json "
        "OUT.html; llm-proxy bench picture A.json OUT.svg; llm-proxy bench vendor --port N (the "
        "mock vendor alone).",
        allow_abbrev=False,
    )
    _add_targets(made.add_argument_group("what is measured"))
    _add_load(made.add_argument_group("load"))
    _add_output(made.add_argument_group("result"))
    return made


def _add_targets(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--url", help="base URL with its /v1")
    group.add_argument("--key", help="the API key (others see it in the list of processes)")
    group.add_argument("--key-file", type=Path, metavar="FILE", help="a file that holds it")
    group.add_argument("--model", help="default: a name that the mock vendor knows")
    group.add_argument("--direct", metavar="URL", help="the same without what --url adds")
    group.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="another server to compare with, same key and model; may be repeated",
    )
    group.add_argument(
        "--pid",
        type=int,
        help="of the server's first process where it runs here: its CPU and memory are measured",
    )
    group.add_argument("--insecure", action="store_true", help="take any TLS certificate")
    group.add_argument(
        "--targets", nargs="+", choices=STAND, default=list(STAND), help="without --url: only these"
    )
    group.add_argument(
        "--peers",
        nargs="+",
        choices=NAMES,
        default=[],
        help="without --url: these gateways too; the first time they are fetched and set up",
    )
    group.add_argument(
        "--peers-folder",
        type=Path,
        default=Path("build/peers"),
        metavar="FOLDER",
        help="where they are set up",
    )
    for name, what in (("errors", "answered with 500"), ("cuts", "broken off")):
        group.add_argument(
            f"--vendor-{name}",
            type=float,
            default=0.0,
            metavar="SHARE",
            help=f"without --url: the mock vendor's answers that are {what}, such as 0.01",
        )


def _add_load(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--scenario",
        action="append",
        choices=SUITE,
        metavar="NAME",
        help=f"{', '.join(SUITE)}; default: all, with --url {' and '.join(CAREFUL)}; "
        f"{' and '.join(OWN)} not with --url",
    )
    group.add_argument(
        "--duration",
        type=duration,
        help="of a window: 10s, 2m; default: 1.5s or 2.5s, with --url 10s",
    )
    group.add_argument("--warmup", type=duration, help="before it; default: 700ms, 4s with peers")
    group.add_argument(
        "--repeat", type=_positive, help="of each measurement; default: 1 to 3, with --url 1"
    )
    group.add_argument(
        "--retries",
        type=int,
        default=6,
        help="without --url: of measurements that something else disturbed, in all",
    )
    shape = group.add_mutually_exclusive_group()
    shape.add_argument("--connections", type=_positive, help="closed loop: so many at once")
    shape.add_argument("--rate", type=_rate, help="open loop: so many a second, whatever happens")
    group.add_argument("--arrivals", choices=ARRIVALS, default="poisson", help="of --rate")
    group.add_argument("--plan", type=_plan, help="mock vendor's streams: 50x20-300b400")
    group.add_argument("--timeout", type=duration, default=30.0, help="longest silence")
    group.add_argument("--processes", type=_positive, default=1, help="that make the load")


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--json", type=Path, metavar="FILE", help="everything, for `compare`")
    group.add_argument("--report", type=Path, metavar="FILE", help="one HTML page with plots")
    group.add_argument("--picture", type=Path, metavar="FILE", help="one SVG, for a README")
    group.add_argument(
        "--budgets",
        type=Path,
        metavar="FILE",
        help="fail where a goal of it is missed; without --url ours are told of and fail nothing",
    )


def scenarios(given: argparse.Namespace) -> list[Scenario]:
    """The scenarios that are wanted, in the shape that is wanted. Raises ValueError."""
    names = given.scenario or (CAREFUL if given.url else SUITE)
    if given.url and (own := [name for name in names if name in OWN]):
        raise ValueError(f"--scenario {own[0]} starts servers itself: not with --url")
    return [_shaped(SCENARIOS[name], given) for name in names]


def as_ours(given: argparse.Namespace) -> bool:
    """Whether the run is one that our own goals were set for."""
    other = given.url or given.connections or given.rate or given.plan
    return not (other or given.vendor_errors or given.vendor_cuts)


def _shaped(row: Scenario, given: argparse.Namespace) -> Scenario:
    shape = row.shape
    if given.connections:
        shape = replace(shape, connections=given.connections, rate=None)
    elif given.rate:
        shape = Shape(_MOST_OPEN, given.rate, given.arrivals)
    elif shape.rate is not None:
        shape = replace(shape, connections=_MOST_OPEN, arrivals=given.arrivals)
    plan = given.plan if given.plan and row.streamed else row.plan
    seconds = given.duration or (10.0 if given.url else row.seconds)
    return replace(
        row,
        shape=shape,
        plan=plan,
        seconds=row.seconds if row.fresh else seconds,
        repeat=given.repeat or (1 if given.url else row.repeat),
        held=row.held and plan == row.plan,
        of=() if given.url else row.of,
    )


def key(given: argparse.Namespace) -> str:
    """The key. Raises OSError for a file that cannot be read."""
    if given.key_file is not None:
        return str(given.key_file.read_text().strip())
    return given.key or "sk-bench"


def without_keys(arguments: list[str]) -> list[str]:
    """The command line as it may be shown."""
    shown = list(arguments)
    for number, word in enumerate(shown):
        if word == "--key" and number + 1 < len(shown):
            shown[number + 1] = "…"
        elif word.startswith("--key="):
            shown[number] = "--key=…"
    return shown


def split_cores() -> tuple[list[int], list[int]]:
    """The core of the server under test, and those of all the rest."""
    every = cores()
    return [every[0]], every[1:] or every
