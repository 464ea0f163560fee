"""The report: one HTML page that needs nothing else, neither network nor script.

First the goals and what came of them. For every scenario the table, how latency is spread, and how
answers, memory and CPU went over time (first repetition); at the end how it was made, so that
anybody can make it again. All text that came from outside is escaped.
"""

import argparse
from html import escape
from math import log10
from pathlib import Path

from bench.harness import budgets, plots, show
from bench.harness.figures import FIGURES
from bench.harness.plots import Axes
from bench.harness.results import Measurement, NoResults, Results, read

_STYLE = """
:root{color-scheme:light dark;--fg:#1c2128;--bg:#fff;--dim:#6a737d;--rule:#d8dee4;
--c0:#8b949e;--c1:#d18616;--c2:#0969da;--c3:#8250df;--c4:#1a7f37;--c5:#cf222e;--c6:#bf3989}
@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--dim:#8b949e;--rule:#30363d;
--c0:#8b949e;--c1:#e3a04f;--c2:#58a6ff;--c3:#bc8cff;--c4:#56d364;--c5:#ff7b72;--c6:#f778ba}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:1120px;
margin:2rem auto;padding:0 1rem}h1{font-size:1.6rem;margin-bottom:0}h2{margin:2.5rem 0 .2rem}
p.dim,td.dim,.dim{color:var(--dim)}table{border-collapse:collapse;margin:.8rem 0;display:block;
overflow-x:auto;font-variant-numeric:tabular-nums}th,td{padding:.25rem .7rem;text-align:right;
border-bottom:1px solid var(--rule);white-space:nowrap}
th:first-child,td:first-child{text-align:left}
th{font-weight:600}.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));
gap:1rem}svg{width:100%;height:auto}svg text{font-size:11px;fill:var(--dim)}.end{text-anchor:end}
.mid{text-anchor:middle}.grid{stroke:var(--rule);stroke-width:1}.line{fill:none;stroke-width:2}
.range{stroke:var(--fg);stroke-width:1.5;opacity:.6}.key{margin-right:1.2rem}
.key i{display:inline-block;width:.8em;height:.8em;margin-right:.4em;border-radius:2px}
.bad{color:var(--c5);font-weight:600}.good{color:var(--c4)}
code,pre{font-size:.85em;overflow-wrap:anywhere;white-space:pre-wrap}
"""
_COLOURS = "".join(
    f".line.c{n}{{stroke:var(--c{n})}}.bar.c{n}{{fill:var(--c{n})}}i.c{n}{{background:var(--c{n})}}"
    for n in range(7)
)
_SHARES = [
    *(number / 100 for number in range(0, 90, 5)),
    *(1 - 10 ** -(number / 20) for number in range(20, 81)),
]
_TICKS = ((0.0, "0"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %"))


def page(results: Results) -> str:
    """The whole page."""
    names = list(results.targets)[:7]
    made = results.made
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>llm-proxy bench, {escape(str(made['date']))}</title>",
        f"<style>{_STYLE}{_COLOURS}</style></head><body>",
        "<h1>llm-proxy bench</h1>",
        f'<p class="dim">{escape(str(made["date"]))} · {escape(str(made["cpu"]))}</p>',
        _goals(results),
        plots.legend(names),
    ]
    parts += [_scenario(results, scenario, names) for scenario in results.scenarios]
    parts += [_lines("Wrong answers", show.errors(results)), _lines("Doubts", show.doubts(results))]
    parts += [_targets(results), _made(results), "</body></html>\n"]
    return "\n".join(part for part in parts if part)


_MARKS = {True: ("good", "✓"), False: ("bad", "✗"), None: ("dim", "·")}


def _goals(results: Results) -> str:
    verdicts = budgets.verdicts(results)
    if not verdicts:
        return ""
    rows = []
    for each in verdicts:
        style, mark = _MARKS[each.reached]
        cells = (each.budget.words(), each.budget.goal(), each.result())
        rows.append(
            f'<tr title="{escape(each.budget.place())}">'
            f"{''.join(f'<td>{escape(text)}</td>' for text in cells)}"
            f'<td class="{style}">{mark} {escape(each.state)}</td></tr>'
        )
    head = "<tr><th>goal</th><th>at</th><th>found</th><th></th></tr>"
    return (
        f"<h2>Goals</h2><p>{escape(budgets.summary(verdicts))}.</p>"
        f"<table>{head}{''.join(rows)}</table>"
    )


def _scenario(results: Results, scenario: str, names: list[str]) -> str:
    row = results.scenarios[scenario]
    drawn = [_spread(results, scenario, names), _bars(results, scenario, names)]
    drawn += _over_time(results, scenario, names)
    return (
        f"<section><h2>{escape(scenario)}</h2>"
        f'<p class="dim">{escape(str(row["says"]))}, {escape(str(row["shape"]))}</p>'
        f'{_table(results, scenario)}<div class="plots">{"".join(drawn)}</div></section>'
    )


def _table(results: Results, scenario: str) -> str:
    figures = show.columns(results, scenario)
    head = "".join(
        f'<th title="{escape(FIGURES[figure].words)}">{escape(FIGURES[figure].brief)}</th>'
        for figure in figures
    )
    rows = []
    for target in results.measured(scenario):
        cells = []
        for figure in figures:
            values = results.values(scenario, target, figure)
            bad = figure in ("wrong", "broken") and any(values)
            style = ' class="bad"' if bad else ""
            cells.append(f"<td{style}>{escape(show.cell(values))}</td>")
        rows.append(f"<tr><td>{escape(target)}</td>{''.join(cells)}</tr>")
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _spread(results: Results, scenario: str, names: list[str]) -> str:
    if results.scenarios[scenario]["streamed"]:
        return ""
    series = {}
    for name in names:
        latencies = results.latencies(scenario, name)
        # Beyond the last but one answer there is nothing that could be read.
        shares = [q for q in _SHARES if latencies.total * (1 - q) >= 1]
        values = latencies.quantiles(shares)
        series[name] = [
            (-log10(1 - q), value * 1000) for q, value in zip(shares, values, strict=True)
        ]
    return plots.lines(series, names, Axes("answers not slower", "latency, ms", _TICKS))


def _bars(results: Results, scenario: str, names: list[str]) -> str:
    rows = []
    for name in names:
        values = results.values(scenario, name, "cpu_us")
        middle = results.middle(scenario, name, "cpu_us")
        if middle is not None:
            rows.append((name, middle, min(values), max(values)))
    each = "chunk" if results.scenarios[scenario]["streamed"] else "request"
    return plots.bars(rows, names, f"CPU of the process that serves, µs a {each}")


def _over_time(results: Results, scenario: str, names: list[str]) -> list[str]:
    first = {name: found[0] for name in names if (found := results.of(scenario, name))}
    streamed = results.scenarios[scenario]["streamed"]
    rates = {name: _rate(one, streamed=bool(streamed)) for name, one in first.items()}
    memory = {
        name: [(sample.at, sample.rss_mb) for sample in one.series if sample.rss_mb]
        for name, one in first.items()
    }
    cores = {
        name: [(sample.at, sample.cores) for sample in one.series[1:] if sample.rss_mb]
        for name, one in first.items()
    }
    what = "chunks" if streamed else "answers"
    return [
        plots.lines(rates, names, Axes("seconds", f"{what} a second")),
        plots.lines(memory, names, Axes("seconds", "resident memory, MB")),
        plots.lines(cores, names, Axes("seconds", "cores used")),
    ]


def _rate(one: Measurement, *, streamed: bool) -> list[tuple[float, float]]:
    found = []
    for before, now in zip(one.series, one.series[1:], strict=False):
        more = now.chunks - before.chunks if streamed else now.answers - before.answers
        if now.at > before.at:
            found.append((now.at, more / (now.at - before.at)))
    return found


def _lines(head: str, found: list[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in found)
    return f"<h2>{head}</h2><ul>{items}</ul>" if found else ""


def _targets(results: Results) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(row['about'])}</td></tr>"
        for name, row in results.targets.items()
    )
    configs = "".join(
        f"<details><summary>{escape(name)}: configuration</summary>"
        f"<pre>{escape(row['config'])}</pre></details>"
        for name, row in results.targets.items()
        if row.get("config")
    )
    return f"<h2>Targets</h2><table>{rows}</table>{configs}"


def _made(results: Results) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td><code>{escape(str(value))}</code></td></tr>"
        for name, value in results.made.items()
    )
    return (
        f"<h2>How it was made</h2><table>{rows}</table>"
        '<p class="dim">Medians of the repetitions ± half their range. In an open loop times count '
        "from when a request was due, not from when it could be sent. CPU of the whole tree "
        "includes what was put off until after the load.</p>"
        f'<p class="dim">{escape(show.FAIR)}</p>'
    )


def write(results: Results, path: Path) -> None:
    """The page as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(results), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """`llm-proxy bench report A.json OUT.html`."""
    options = argparse.ArgumentParser(prog="llm-proxy bench report", description=__doc__)
    options.add_argument("results", type=Path, metavar="A.json")
    options.add_argument("page", type=Path, metavar="OUT.html")
    given = options.parse_args(arguments)
    try:
        write(read(given.results), given.page)
    except NoResults as failure:
        options.error(str(failure))
    return 0
