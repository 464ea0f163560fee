"""What must be reached, and whether it was: pure, from the numbers of all repetitions."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from bench.scenarios import HELD_STREAMS, Numbers

_JOINED = 1.1  # Chunks per read above which a run is not compared.

Results = dict[str, dict[str, list[Numbers]]]
"""Scenario → target → the numbers of each repetition."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One goal: what came out, in words, and whether that is enough."""

    name: str
    goal: str
    found: str
    reached: bool


def values(runs: Iterable[Numbers], number: str) -> list[float]:
    return [run[number] for run in runs]


def _most(name: str, runs: list[Numbers], number: str, limit: float, unit: str) -> Verdict:
    found = values(runs, number)
    text = f"{median(found):.2f} {unit} ({min(found):.2f}-{max(found):.2f})"
    return Verdict(name, f"<= {limit:g} {unit}", text, median(found) <= limit)


def _comparable(run: Numbers) -> bool:
    """A server that falls behind joins chunks, which makes each look cheap: that is no figure."""
    return run.get("chunks_per_read", 1.0) <= _JOINED


def _ratio(name: str, runs: dict[str, list[Numbers]], limit: float) -> Verdict:
    pairs = zip(runs["proxy"], runs["baseline"], strict=True)
    fair = [(ours, bare) for ours, bare in pairs if _comparable(ours) and _comparable(bare)]
    if not fair:
        return Verdict(name, f"<= {limit:g} of baseline", "no run without joined chunks", False)
    ours = [mine["cpu_us"] for mine, _ in fair]
    bare = [its["cpu_us"] for _, its in fair]
    ratio = median(ours) / median(bare)
    each = [mine / its for mine, its in zip(ours, bare, strict=True)]
    text = f"{ratio:.3f} ({min(each):.3f}-{max(each):.3f})"
    if len(fair) < len(runs["proxy"]):
        text += f", {len(fair)} of {len(runs['proxy'])} runs"
    return Verdict(name, f"<= {limit:g} of baseline", text, ratio <= limit)


def _store(on: list[Numbers], off: list[Numbers]) -> Verdict:
    """Told and not judged: records are a part of it, and bench/micro/accounting_in_place.py judges
    those by themselves."""
    more = median(values(on, "cpu_us")) - median(values(off, "cpu_us"))
    return Verdict("all that a store brings, per request", "-", f"{more:.1f} us", True)


def _all_held(runs: list[Numbers]) -> Verdict:
    held, whole = min(values(runs, "held")), min(values(runs, "whole"))
    broken = max(values(runs, "broken"))
    reached = held == whole == HELD_STREAMS and not broken
    text = f"held {held:.0f}, whole {whole:.0f}, broken {broken:.0f} (worst run)"
    return Verdict("concurrent paced streams", f"{HELD_STREAMS} held, none broken", text, reached)


def _none_wrong(results: Results) -> Verdict:
    wrong = sum(
        run.get("wrong", 0)
        for targets in results.values()
        for runs in targets.values()
        for run in runs
    )
    return Verdict("wrong answers, all runs", "0", f"{wrong:.0f}", wrong == 0)


def judge(results: Results) -> list[Verdict]:
    """The goals that these results can tell something about."""
    verdicts = []
    for scenario, name, limit in (
        ("chat", "CPU per request", 0.6),
        ("chunks", "CPU per streamed chunk", 1.0),
    ):
        targets = results.get(scenario, {})
        if "proxy" in targets and "baseline" in targets:
            verdicts.append(_ratio(name, targets, limit))
    chat = results.get("chat", {})
    if "proxy" in chat and "recorded" in chat:
        verdicts.append(_store(chat["recorded"], chat["proxy"]))
    colds = results.get("cold", {})
    if cold := colds.get("recorded") or colds.get("proxy"):
        verdicts.append(_most("cold start to first answer", cold, "start_s", 1.5, "s"))
        verdicts.append(_most("idle worker, RSS", cold, "rss_mb", 80, "MB"))
        verdicts.append(_most("idle worker, PSS", cold, "pss_mb", 80, "MB"))
    if held := results.get("held", {}).get("proxy"):
        verdicts.append(_all_held(held))
    return [*verdicts, _none_wrong(results)]
