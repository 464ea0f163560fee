"""Plots as SVG text, sans I/O: lines with axes, and bars. Colours come from the page's style sheet.

Every series keeps its colour by its place in the order of targets, so that a target looks the same
in all plots of a page. Numbers on axes are round ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

Points = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT = 520, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 14, 40
_BAR = 26


@dataclass(frozen=True, slots=True)
class Axes:
    """The words of a plot. `ticks`: places on the x axis with their words; None: round numbers."""

    x: str
    y: str
    ticks: Sequence[tuple[float, str]] | None = None


def steps(most: float, about: int = 5) -> list[float]:
    """Round numbers from 0 to at least `most`."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / about
    power = 10.0 ** floor(log10(rough))
    step = next(each for each in (power, 2 * power, 5 * power, 10 * power) if each >= rough)
    return [round(number * step, 10) for number in range(ceil(most / step - 1e-9) + 1)]


def _word(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def legend(names: Sequence[str]) -> str:
    """Which colour is which target's."""
    parts = [
        f'<span class="key"><i class="c{number}"></i>{escape(name)}</span>'
        for number, name in enumerate(names)
    ]
    return f'<p class="legend">{"".join(parts)}</p>'


def lines(series: Mapping[str, Points], order: Sequence[str], axes: Axes) -> str:
    """One line for each series that has at least two points; empty where none has."""
    drawn = {name: points for name, points in series.items() if len(points) > 1}
    if not drawn:
        return ""
    every = [point for points in drawn.values() for point in points]
    y_steps = steps(max(y for _, y in every))
    ticks = axes.ticks
    if ticks is None:
        ticks = [(x, _word(x)) for x in steps(max(x for x, _ in every))]
    left, right = ticks[0][0], ticks[-1][0]

    def x_at(x: float) -> float:
        return _LEFT + (x - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)

    def y_at(y: float) -> float:
        return _HEIGHT - _BOTTOM - y / y_steps[-1] * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_grid(axes, ticks, y_steps, x_at, y_at)]
    for name, points in drawn.items():
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in points)
        title = f"<title>{escape(name)}</title>"
        parts.append(f'<polyline class="line c{order.index(name)}" points="{path}">{title}')
        parts.append("</polyline>")
    label = escape(f"{axes.y} by {axes.x}")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _grid(
    axes: Axes,
    ticks: Sequence[tuple[float, str]],
    y_steps: Sequence[float],
    x_at: Callable[[float], float],
    y_at: Callable[[float], float],
) -> str:
    floor_y = _HEIGHT - _BOTTOM
    parts = []
    for y in y_steps:
        at = f"{y_at(y):.1f}"
        parts.append(f'<path class="grid" d="M{_LEFT} {at}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at}" dy="4" class="end">{_word(y)}</text>')
    for x, word in ticks:
        at = f"{x_at(x):.1f}"
        parts.append(f'<path class="grid" d="M{at} {_TOP}V{floor_y}"/>')
        parts.append(f'<text x="{at}" y="{floor_y + 16}" class="mid">{escape(word)}</text>')
    parts.append(
        f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 6}" class="mid">{escape(axes.x)}</text>'
    )
    across = f'transform="rotate(-90)" x="{-floor_y / 2 - _TOP / 2:.0f}" y="13"'
    parts.append(f'<text {across} class="mid">{escape(axes.y)}</text>')
    return "".join(parts)


def bars(rows: Sequence[tuple[str, float, float, float]], order: Sequence[str], words: str) -> str:
    """One bar for each row of name, median, least and most; empty without rows."""
    if not rows:
        return ""
    most = max(high for *_, high in rows) or 1.0
    height = len(rows) * _BAR + 24
    room = _WIDTH - 110 - 80

    def at(value: float) -> float:
        return 110 + value / most * room

    parts = []
    for number, (name, middle, low, high) in enumerate(rows):
        top = number * _BAR + 4
        line = top + 9
        parts.append(f'<text x="102" y="{top + 13}" class="end">{escape(name)}</text>')
        parts.append(
            f'<rect class="bar c{order.index(name)}" x="110" y="{top}" rx="2" '
            f'width="{max(at(middle) - 110, 1):.1f}" height="18"/>'
        )
        if high > low:
            parts.append(f'<path class="range" d="M{at(low):.1f} {line}H{at(high):.1f}"/>')
        text = f"{middle:,.0f}" if middle >= 100 else f"{middle:.3g}"
        parts.append(f'<text x="{at(max(middle, high)) + 6:.1f}" y="{top + 13}">{text}</text>')
    parts.append(f'<text x="110" y="{height - 4}">{escape(words)}</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(words)}">'
        f"{''.join(parts)}</svg>"
    )
