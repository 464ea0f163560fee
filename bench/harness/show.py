"""The result as plain tables: one for each scenario, a row for each target, medians and ranges."""

from statistics import median

from bench.harness.figures import DISTURBED, FIGURES, shown
from bench.harness.results import Results
from bench.table import table

FAIR = (
    "Every server under test has the same one core with all its processes; vendor and load have "
    "the others. Of our proxy that core is shared by supervisor, worker, control and PostgreSQL, "
    "and CPU is the worker's, beside it that of the whole tree. Of other gateways it is that of "
    "the process that was started, which is all there is. Only ours has everything on: they run "
    "with what they do by default. Cold starts have all cores."
)
"""How the targets are treated, for whoever doubts."""


def number(value: float) -> str:
    """Short, for people."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def cell(values: list[float]) -> str:
    """The median; with more than one, half of their range."""
    if not values:
        return ""
    middle = median(values)
    spread = (max(values) - min(values)) / 2
    if spread == 0 or abs(spread) < abs(middle) * 0.005:
        return number(middle)
    return f"{number(middle)} ±{number(spread)}"


def columns(results: Results, scenario: str) -> list[str]:
    """The figures that at least one target has."""
    streamed = bool(results.scenarios[scenario]["streamed"])
    return [
        figure
        for figure in shown(streamed=streamed)
        if any(results.values(scenario, name, figure) for name in results.measured(scenario))
    ]


def scenario_table(results: Results, scenario: str) -> str:
    """All of one scenario."""
    figures = columns(results, scenario)
    rows = [["", *(FIGURES[figure].brief for figure in figures)]]
    for target in results.measured(scenario):
        values = [results.values(scenario, target, figure) for figure in figures]
        rows.append([target, *map(cell, values)])
    return table(rows)


def errors(results: Results) -> list[str]:
    """What was wrong, by kind."""
    lines = []
    for one in results.measurements:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in one.recorder.errors.items())
        if kinds:
            lines.append(f"{one.scenario} {one.target} {one.repetition + 1}: {kinds}")
    return lines


def doubts(results: Results) -> list[str]:
    """Why some figures should be trusted less."""
    lines = []
    for one in results.measurements:
        place, figures = f"{one.scenario} {one.target} {one.repetition + 1}", one.figures
        if figures["others"] > DISTURBED and "cpu_us" in figures:
            lines.append(f"{place}: something else kept {figures['others']:.1f} cores busy")
        if figures["late_share"] > 0.05:
            lines.append(f"{place}: {figures['late_share']:.0%} of the requests were sent late")
        if figures["unfinished"]:
            lines.append(f"{place}: {figures['unfinished']:.0f} answers did not end in time")
    return lines


def text(results: Results) -> str:
    """The whole result."""
    parts = []
    for name, row in results.scenarios.items():
        parts.append(f"{name}: {row['says']}, {row['shape']}\n{scenario_table(results, name)}")
    for head, lines in (("wrong answers", errors(results)), ("doubts", doubts(results))):
        if lines:
            parts.append("\n".join([f"{head}:", *(f"  {line}" for line in lines[:20])]))
    parts.append("\n".join(f"{name}: {row['about']}" for name, row in results.targets.items()))
    return "\n\n".join(parts)
