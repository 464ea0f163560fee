"""A report as a table for people, never wider than a terminal of 120 columns.

The widest form that fits is taken: with and without separators of thousands, with narrow gaps,
without the columns that are 0 in every line (it says which), with long names cut in their middle,
with the names on a line of their own, and last with tokens in thousands. Costs are never rounded
or cut; all of a column have the same number of decimals, so that their points stand below each
other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from proxy.core.accounting import Dimension, Figures, UsageRow
from proxy.usage.report_values import usd
from proxy.usage.report_width import clipped, padded, width_of

WIDTH = 120
_SHORTEST = 10

_HEADS = {
    "requests": "REQUESTS",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "refused": "REFUSED",
    "cut": "CUT",
    "gone": "GONE",
    "cached": "HITS",
    "input_tokens": "INPUT",
    "output_tokens": "OUTPUT",
    "cached_read_tokens": "CACHED",
    "reasoning_tokens": "REASONING",
    "unpriced": "UNPRICED",
}
_COST = "COST USD"
_UNTIL_USED = frozenset(("cached",))
"""Left out without a word while nothing is in them."""


@dataclass(frozen=True, slots=True)
class _Form:
    """One way to write the numbers."""

    thousands: bool
    gap: int
    empty: bool  # Columns too in which all is 0.
    unit: int = 1  # Of tokens.


_FORMS = (
    _Form(thousands=True, gap=2, empty=True),
    _Form(thousands=False, gap=2, empty=True),
    _Form(thousands=False, gap=1, empty=True),
    _Form(thousands=False, gap=2, empty=False),
    _Form(thousands=False, gap=1, empty=False),
)
_LAST_FORMS = (
    _FORMS[-1],
    _Form(thousands=False, gap=1, empty=False, unit=1000),
    _Form(thousands=False, gap=1, empty=False, unit=1_000_000),
    _Form(thousands=False, gap=1, empty=False, unit=1_000_000_000),
)
_UNITS = {1000: "thousands", 1_000_000: "millions", 1_000_000_000: "billions"}


def table(by: Sequence[Dimension], rows: Sequence[UsageRow], totals: Figures) -> Iterator[str]:
    """The lines of the table: heads, a line per row, the totals, and what is not shown."""
    names = [[name.upper() for name in by]]
    names += [[_shown(*pair) for pair in zip(by, row.group, strict=True)] for row in rows]
    names.append(["total", *("" for _ in by[1:])])
    figures = [*(row.figures for row in rows), totals]
    widths = [max(map(width_of, column)) for column in zip(*names, strict=True)]
    form, numbers, space = _fitting(figures, widths)
    if sum(widths) > space:
        widths = _shrunk(widths, space)
    gap = " " * form.gap
    for words, cells in zip(names, numbers, strict=True):
        right = gap.join(cells)
        if widths:
            left = (padded(clipped(w, n), n) for w, n in zip(words, widths, strict=True))
            yield gap.join((*left, right))
        else:
            yield clipped(" · ".join(word for word in words if word), WIDTH)
            yield f"  {right}" if len(right) + 2 <= WIDTH else right
    if form.unit > 1:
        yield f"Tokens are in {_UNITS[form.unit]}."
    if not form.empty and (unseen := _unseen(figures)):
        yield f"Not shown, all 0: {', '.join(_HEADS[name].lower() for name in unseen)}."


def _fitting(
    figures: Sequence[Figures], widths: Sequence[int]
) -> tuple[_Form, list[list[str]], int]:
    """A form, the numbers in it, and the space that it leaves for names."""
    form, cells, space = _FORMS[0], [], 0
    for place, form in enumerate((*_FORMS, *_LAST_FORMS)):
        cells = _numbers(form, figures)
        taken = sum(len(cell) + form.gap for cell in cells[0])
        space = WIDTH - taken - form.gap * (len(widths) - 1)
        if sum(widths) <= space or (place >= len(_FORMS) and taken <= WIDTH):
            break
    return form, cells, space


def _shrunk(widths: Sequence[int], space: int) -> list[int]:
    """Narrower columns, the widest first; none at all when they would become unreadable."""
    shrunk = list(widths)
    while sum(shrunk) > space:
        widest = max(range(len(shrunk)), key=shrunk.__getitem__)
        if shrunk[widest] <= _SHORTEST:
            return []
        shrunk[widest] -= 1
    return shrunk


def _numbers(form: _Form, figures: Sequence[Figures]) -> list[list[str]]:
    """The lines of numbers, the heads first, each cell as wide as its column."""
    unseen = _unseen(figures)
    columns = []
    for name, head in _HEADS.items():
        if (name in unseen and not form.empty) or (
            name in _UNTIL_USED and not _used(name, figures)
        ):
            continue
        amounts = [getattr(each, name) for each in figures]
        if form.unit > 1 and name.endswith("_tokens"):
            amounts = [round(n / form.unit) for n in amounts]
        columns.append([head, *(f"{n:,}" if form.thousands else str(n) for n in amounts)])
    columns.append([_COST, *_aligned([each.cost for each in figures])])
    for column in columns:
        width = max(map(len, column))
        column[:] = [cell.rjust(width) for cell in column]
    return [list(line) for line in zip(*columns, strict=True)]


def _unseen(figures: Sequence[Figures]) -> list[str]:
    """What may be left out, and is told; the number of requests never is."""
    able = (name for name in _HEADS if name != "requests" and name not in _UNTIL_USED)
    return [name for name in able if not _used(name, figures)]


def _used(name: str, figures: Sequence[Figures]) -> bool:
    return any(getattr(each, name) for each in figures)


def _aligned(costs: Sequence[int]) -> list[str]:
    texts = [usd(cost) for cost in costs]
    most = max(len(text) - text.index(".") for text in texts)
    return [text + "0" * (most - len(text) + text.index(".")) for text in texts]


def _shown(dimension: Dimension, value: str | datetime) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if dimension == "day" else f"{value:%Y-%m-%d %H:%M}"
    # A caller may have written what would move the cursor of a terminal.
    return "".join(each if each.isprintable() else "\ufffd" for each in value) or "-"
