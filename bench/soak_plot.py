"""The picture of a soak run: memory, files and tasks, answers a second, by minutes. Pure.

One SVG that stands alone, dark or light as the reader's system is.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

from bench.harness.plots import Axes, Points, lines
from bench.soak_judge import of
from bench.soak_watch import Look

_WIDTH, _HEIGHT, _TOP, _GAP = 520, 260, 46, 22
_STYLE = """
svg{--fg:#1c2128;--bg:#fff;--dim:#6a737d;--rule:#d8dee4;--c0:#0969da;--c1:#d18616;--c2:#8250df;
--c3:#1a7f37;--c4:#cf222e}
@media(prefers-color-scheme:dark){svg{--fg:#e6edf3;--bg:#0d1117;--dim:#8b949e;--rule:#30363d;
--c0:#58a6ff;--c1:#e3a04f;--c2:#bc8cff;--c3:#56d364;--c4:#ff7b72}}
text{font:11px system-ui,sans-serif;fill:var(--dim)}.title{font-size:14px;fill:var(--fg)}
.end{text-anchor:end}.mid{text-anchor:middle}.grid{stroke:var(--rule);stroke-width:1}
.line{fill:none;stroke-width:1.5}.ground{fill:var(--bg)}
"""
_MOST_POINTS = 600


def svg(looks: Sequence[Look], title: str) -> str:
    """The whole file."""
    roles = ("worker", "control", "store")
    plots = (
        ({role: of(looks, "pss", role) for role in roles}, "MB (PSS)"),
        (
            {
                "files of the worker": of(looks, "files", "worker"),
                "files of control": of(looks, "files", "control"),
                "tasks of the worker": [
                    (e.at / 60, float(e.tasks)) for e in looks if e.tasks is not None
                ],
            },
            "open files, tasks",
        ),
        ({"answers": _rates(looks)}, "answers a second"),
    )
    parts = []
    for number, (series, words) in enumerate(plots):
        top = _TOP + number * (_HEIGHT + _GAP)
        parts.append(_placed(series, words, top))
    height = _TOP + len(plots) * (_HEIGHT + _GAP)
    colours = "".join(
        f".line.c{n}{{stroke:var(--c{n})}}.k{n}{{fill:var(--c{n})}}" for n in range(5)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{_STYLE}{colours}</style>\n'
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>\n'
        f'<text class="title" x="10" y="22">{escape(title)}</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _placed(series: Mapping[str, Points], words: str, top: int) -> str:
    thin = {name: points[:: len(points) // _MOST_POINTS + 1] for name, points in series.items()}
    drawn = lines(thin, list(thin), Axes("minutes", words))
    size = f'<svg x="0" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" '
    keys, x = [], 64.0
    for number, name in enumerate(thin):
        keys.append(f'<rect class="k{number}" x="{x:.0f}" y="{top - 5}" width="9" height="9"/>')
        keys.append(f'<text x="{x + 13:.0f}" y="{top + 4}">{escape(name)}</text>')
        x += 34 + 6.2 * len(name)
    return drawn.replace("<svg ", size, 1) + "".join(keys)


def _rates(looks: Sequence[Look]) -> list[tuple[float, float]]:
    return [
        (b.at / 60, (b.answers - a.answers) / (b.at - a.at))
        for a, b in pairwise(looks)
        if b.at > a.at
    ]
