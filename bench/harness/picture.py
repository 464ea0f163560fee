"""The picture for a README: `llm-proxy bench picture A.json OUT.svg`, an SVG that stands alone.

Four panels: CPU of a request and of a chunk, latency added at the median and at 99 %. A bar for
each target, shortest first, ours in colour; a thin line is the range of the repetitions, a dashed
one a goal. A bar much longer than those that goals are about is cut, and says so by a gap; its
number is whole. It has a ground of its own, light or dark as the reader's system is, because it
does not know the page around it. Text stands in columns of its own: nothing is drawn over it.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median

from bench.harness import budgets
from bench.harness.results import DIRECT, NoResults, Results, read
from bench.harness.show import cell

_STYLE = """
text{font:12px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1c2128}
.ground{fill:#fff;stroke:#d8dee4}.title{font-size:17px;font-weight:600}.head{font-weight:600}
.dim{fill:#59636e;font-size:11px}.end{text-anchor:end}.ours{font-weight:600}
.bar{fill:#afb8c1}.bar.ours{fill:#0969da}.bar.tree{fill:#80b4f0}
.range{stroke:#1c2128;stroke-width:1.5}.goal{stroke:#cf222e;stroke-width:2;stroke-dasharray:3 2}
.gap{stroke:#fff;stroke-width:3}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#9198a1}
.ground{fill:#0d1117;stroke:#30363d}.bar{fill:#4a525c}.bar.ours{fill:#4493f8}.bar.tree{fill:#2a5fa8}
.range{stroke:#e6edf3}.goal{stroke:#ff7b72}.gap{stroke:#0d1117}}
"""
_OURS, _YARDSTICK, _TREE = "proxy", "bare", "llm-proxy in all"
_SHOWN = {_OURS: "llm-proxy", _YARDSTICK: "bare aiohttp"}
_WIDTH, _MARGIN, _TOP = 880, 24, 78
_PANEL, _NAMES, _NUMBERS = 404, 128, 96
_LETTERS = 18
_ROW, _BAR, _HEAD, _FOOT = 24, 14, 26, 34
_LONGEST = 1.5
"""How many times as long as ours, bare and the goals a bar may be before it is cut."""


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar. `style`: its classes; `goal`: where it is to end at most; `late`: chunks arrived
    together, which makes each look cheap."""

    name: str
    values: list[float]
    style: str = ""
    goal: float | None = None
    late: bool = False

    @property
    def middle(self) -> float:
        return median(self.values)


@dataclass(frozen=True, slots=True)
class _Panel:
    head: str
    bars: list[_Bar]
    foot: str

    @property
    def height(self) -> int:
        return _HEAD + len(self.bars) * _ROW + _FOOT


_PANELS = (
    ("CPU of a request, µs", "chat", "cpu_us"),
    ("CPU of a streamed chunk, µs", "paced", "cpu_us"),
    ("Latency added to a request, median, ms", "latency", "added_p50_ms"),
    ("Latency added to a request, 99 %, ms", "latency", "added_p99_ms"),
)


def draw(results: Results) -> str:
    """The whole picture."""
    panels = [made for each in _PANELS if (made := _panel(results, *each)).bars]
    parts, top = [], _TOP
    for first in range(0, len(panels), 2):
        row = panels[first : first + 2]
        for number, panel in enumerate(row):
            parts.append(_drawn(panel, _MARGIN + number * (_PANEL + _MARGIN), top))
        top += max(panel.height for panel in row)
    late = any(bar.late for panel in panels for bar in panel.bars)
    feet = _feet(results, late=late)
    height = top + 16 * len(feet) + 12
    for number, line in enumerate(feet):
        parts.append(_text(_MARGIN, top + 8 + 16 * number, line, "dim"))
    about = results.made
    on = f"{str(about['date'])[:10]} · {about['cpu']} · Python {about.get('python', '')}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-label="llm-proxy bench">'
        f"<style>{_STYLE}</style>"
        f'<rect class="ground" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>'
        f"{_text(_MARGIN, 34, 'What a request costs', 'title')}"
        f"{_text(_MARGIN, 54, on, 'dim')}{''.join(parts)}</svg>\n"
    )


def _panel(results: Results, head: str, scenario: str, figure: str) -> _Panel:
    bars = []
    for name in results.measured(scenario):
        values = results.values(scenario, name, figure)
        if name != DIRECT and values:
            goal = _goal(results, scenario, figure) if name == _OURS else None
            joined = results.middle(scenario, name, "chunks_per_read") or 1.0
            late = figure == "cpu_us" and joined > budgets.JOINED
            bars.append(_Bar(name, values, "ours" if name == _OURS else "", goal, late))
    tree = results.values(scenario, _OURS, "tree_cpu_us") if figure == "cpu_us" else []
    if tree:
        goal = _goal(results, scenario, "tree_cpu_us")
        bars.append(_Bar(_TREE, tree, "tree", goal))
    bars.sort(key=lambda bar: bar.middle)
    return _Panel(head, bars, str(results.scenarios.get(scenario, {}).get("shape", "")))


def _goal(results: Results, scenario: str, figure: str) -> float | None:
    """Where our bar is to end: by itself, or as a part of the bare pass-through's."""
    found = []
    for row in results.budgets:
        each = budgets.Budget(**row)
        mine = (each.scenario, each.figure, each.of) == (scenario, figure, _OURS)
        if not mine or each.most is None or each.to not in (None, _YARDSTICK):
            continue
        other = results.middle(scenario, each.to, figure) if each.to else 1.0
        if other is not None:
            found.append(each.most * other)
    return min(found, default=None)


def _drawn(panel: _Panel, left: int, top: int) -> str:
    room = _PANEL - _NAMES - _NUMBERS
    known = [bar.middle for bar in panel.bars if bar.style or bar.name == _YARDSTICK]
    known += [bar.goal for bar in panel.bars if bar.goal is not None]
    most = max(max(bar.values) for bar in panel.bars)
    longest = min(most, _LONGEST * max(known)) if known and max(known) > 0 else most
    scale = room / longest if longest > 0 else 0.0

    def at(value: float) -> float:
        return left + _NAMES + min(max(value * scale, 0.0), room)

    parts = [_text(left, top + 12, panel.head, "head")]
    for number, bar in enumerate(panel.bars):
        parts.append(_row(bar, left, top + _HEAD + number * _ROW, at))
    below = top + _HEAD + len(panel.bars) * _ROW + 10
    parts.append(_text(left + _NAMES, below, panel.foot, "dim"))
    return "".join(parts)


def _row(bar: _Bar, left: int, top: int, at: Callable[[float], float]) -> str:
    zero, end, middle = at(0.0), at(bar.middle), top + _BAR / 2
    right = left + _PANEL - _NUMBERS
    strong = " ours" if bar.style == "ours" else ""
    number = f"late, {cell(bar.values)}" if bar.late else cell(bar.values)
    parts = [
        _text(left + _NAMES - 8, top + 11, _short(bar.name), f"end{strong}"),
        f'<rect class="bar {bar.style}" x="{zero:.1f}" y="{top}" rx="2" '
        f'width="{max(end - zero, 1):.1f}" height="{_BAR}"/>',
        _text(left + _PANEL, top + 11, number, f"end{strong}"),
    ]
    low, high = at(min(bar.values)), at(max(bar.values))
    if high > low:
        parts.append(f'<path class="range" d="M{low:.1f} {middle}H{high:.1f}"/>')
    if bar.goal is not None:
        x = at(bar.goal)
        parts.append(f'<path class="goal" d="M{x:.1f} {top - 4}V{top + _BAR + 4}"/>')
    if end >= right and at(bar.middle * 0.98) >= right:
        parts.append(f'<path class="gap" d="M{right - 22} {top + _BAR + 2}l8 {-_BAR - 4}"/>')
    return "".join(parts)


def _feet(results: Results, *, late: bool) -> list[str]:
    lines = [
        f"Medians, repetitions: {results.made.get('repetitions', '')}; the thin line is their "
        "range, the dashed one a goal; a bar with a gap is longer than it is drawn.",
    ]
    names = set(results.targets)
    if _OURS in names:
        lines.append(
            "One core for each. llm-proxy: its worker, with keys, limits, budgets, records, "
            "metrics and every trace; in all: with control and PostgreSQL."
        )
    if _YARDSTICK in names:
        lines.append("bare aiohttp: a pass-through that does nothing else.")
        if names - {DIRECT, _YARDSTICK, _OURS}:
            lines[-1] += " Others: as their documents start them, with less on than ours."
    if late:
        lines.append("late: its chunks arrived together, which makes each of them look cheap.")
    return lines


def _short(name: str) -> str:
    name = _SHOWN.get(name, name)
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"


def _text(x: float, y: float, words: str, style: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{style}">{escape(words)}</text>'


def write(results: Results, path: Path) -> None:
    """The picture as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draw(results), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """`llm-proxy bench picture A.json OUT.svg`."""
    options = argparse.ArgumentParser(prog="llm-proxy bench picture", description=__doc__)
    options.add_argument("results", type=Path, metavar="A.json")
    options.add_argument("picture", type=Path, metavar="OUT.svg")
    given = options.parse_args(arguments)
    try:
        write(read(given.results), given.picture)
    except NoResults as failure:
        options.error(str(failure))
    return 0
