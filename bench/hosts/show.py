"""What a run of several sizes found: tables for people, JSON for programs, and what the model says.

The model is fitted to the two smallest sizes and judged by the others, which it has not seen.
"""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from bench.hosts import model
from bench.hosts.configuration import CALL_COSTS
from bench.hosts.fleet import PARTS, PartName
from bench.hosts.model import Cost, Point
from bench.hosts.run import Size, Window

_FITTED = 2
_FULL = 0.8
"""Of a core: beyond it queues grow."""


class Fitted(NamedTuple):
    """The model of one part. `worst`: its largest error where it was not fitted; None: nowhere."""

    part: str
    cost: Cost
    worst: float | None


def points(sizes: Sequence[Size], part: PartName) -> list[Point]:
    """What was measured of a part, but where the machine was full: then all wait for each other,
    and what waits is done in larger heaps."""
    return [
        Point(size.hosts, window.rate, window.cores[part])
        for size in sizes
        for window in size.windows
        if window.free
    ]


def fitted(sizes: Sequence[Size]) -> list[Fitted]:
    """The models; none where too little was measured."""
    found = []
    for part, occasions in model.OCCASIONS.items():
        name = cast("PartName", part)
        try:
            cost = model.fit(points(sizes[:_FITTED], name), occasions)
        except ValueError:
            return []
        rest = [point for point in points(sizes[_FITTED:], name) if point.rate]
        found.append(Fitted(part, cost, model.worst(cost, rest) if rest else None))
    return found


def table(sizes: Sequence[Size]) -> str:
    """What people read."""
    lines = [
        "CPU per request, us (idle: cores); scripts: within redis; busy: cores; strangers: of busy",
        _row(
            [
                "hosts",
                "offered/s",
                "answers/s",
                *PARTS,
                "scripts",
                "p50 ms",
                "p99 ms",
                "busy",
                "strangers",
            ]
        ),
    ]
    for size in sizes:
        lines += [_row(_cells(size, window)) for window in size.windows]
    lines += ["", *_exact(sizes)]
    models = fitted(sizes)
    if models:
        lines += ["", *_modelled(models, sizes)]
    return "\n".join(lines)


def _cells(size: Size, window: Window) -> list[str]:
    busy = [f"{window.machine:.2f}", f"{window.strangers:.2f}"]
    if not window.rate:
        shares = [f"({window.cores[part]:.3f})" for part in PARTS]
        return [str(size.hosts), "idle", "", *shares, "", "", "", *busy]
    costs = [f"{window.per_request(part):.1f}" for part in PARTS]
    costs.append(f"{1e6 * window.scripts / window.answers:.1f}")
    times = [f"{1000 * window.p50:.2f}", f"{1000 * window.p99:.2f}", *busy]
    return [str(size.hosts), f"{window.offered:,.0f}", f"{window.rate:,.0f}", *costs, *times]


def _row(cells: Sequence[str]) -> str:
    return "".join(f"{cell:>12}" for cell in cells)


def _exact(sizes: Sequence[Size]) -> list[str]:
    lines = []
    for size in sizes:
        lines.append(
            f"{size.hosts} hosts, {size.seconds:.0f} s: {size.answers:,} answers, {size.rows:,} "
            f"records, {size.ids:,} ids; connections: Redis {size.redis_connections}, PostgreSQL "
            f"{size.postgres_connections}"
            + (f"; {size.unheard} refused, Redis was late" if size.unheard else "")
            + "".join(f"; {n} x {w}" for w, n in size.wrong.items())
        )
        for wall in size.walls:
            money = ""
            if wall.amount:
                left = (wall.amount - wall.spent) / CALL_COSTS
                money = (
                    f"; nano-USD: {wall.spent:,} recorded, {wall.in_redis:,} in Redis, of "
                    f"{wall.amount:,} ({left:.0f} calls' worth left)"
                )
            lines.append(
                f"  {wall.name}: {wall.asked:,} asked, {wall.most} may pass; passed by clients "
                f"{wall.clients}, vendor {wall.vendor}, records {wall.recorded}{money}; "
                f"overrun {wall.overrun}"
            )
    return lines


def _modelled(models: Sequence[Fitted], sizes: Sequence[Size]) -> list[str]:
    hosts = sizes[-1].hosts
    known = " and ".join(str(size.hosts) for size in sizes[:_FITTED])
    full = sum(not window.free for size in sizes for window in size.windows)
    lines = [
        f"model, fitted to {known} hosts: cores = idle x hosts + request x rate + occasions"
        + (f"; {full} windows left out, the machine was full" if full else ""),
        _row(["part", "idle m", "request us", "occasion m", "worst error", "0.8 core at"]),
    ]
    for each in models:
        cost = each.cost
        at = f"{cost.full_at(hosts, _FULL):,.0f}/s" if each.part in ("redis", "postgres") else ""
        worst = f"{100 * each.worst:.1f} %" if each.worst is not None else "not tried"
        numbers = [f"{1000 * cost.idle:.2f}", f"{1e6 * cost.per_request:.1f}"]
        lines.append(_row([each.part, *numbers, f"{1000 * cost.per_occasion:.2f}", worst, at]))
    return lines


def as_json(sizes: Sequence[Size]) -> dict[str, Any]:
    """What programs read."""
    return {
        "made": {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        },
        "good": all(size.good for size in sizes),
        "sizes": [
            {**asdict(size), "good": size.good, "overruns": [w.overrun for w in size.walls]}
            for size in sizes
        ],
        "model": [
            {
                "part": each.part,
                "idle": each.cost.idle,
                "per_request": each.cost.per_request,
                "per_occasion": each.cost.per_occasion,
                "worst": each.worst,
            }
            for each in fitted(sizes)
        ],
    }
