"""Plain tables for a terminal: columns as wide as they need to be, numbers to the right."""

from collections.abc import Sequence
from statistics import median

from bench.goals import Results, Verdict, values


def table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the head; the first column is text, the others stand to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _cell(found: list[float]) -> str:
    def short(value: float) -> str:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

    if min(found) == max(found):
        return short(found[0])
    return f"{short(median(found))} ({short(min(found))}-{short(max(found))})"


def numbers_table(results: Results) -> str:
    """Every number: median and range of the repetitions, a column for each target."""
    names = list(dict.fromkeys(name for targets in results.values() for name in targets))
    rows = [["", *names]]
    for scenario, targets in results.items():
        for number in next(iter(targets.values()))[0]:
            row = [f"{scenario} {number}"]
            for name in names:
                runs = targets.get(name)
                row.append(_cell(values(runs, number)) if runs else "")
            rows.append(row)
    return table(rows)


def goals_table(verdicts: Sequence[Verdict]) -> str:
    rows = [["goal", "limit", "found", ""]]
    rows += [[v.name, v.goal, v.found, "ok" if v.reached else "MISSED"] for v in verdicts]
    return table(rows)
