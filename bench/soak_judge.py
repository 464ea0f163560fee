"""Whether a soak run is good: slopes after the warm-up, and what is left at the end. Pure.

The slope of memory is the median of the slopes between all pairs of points (Theil-Sen), which a
burst, a collection or a lost sample does not move; points are medians of equal parts of the time.
Files and tasks are compared at rest, before the load and after it, and files under load by slope.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from bench.soak_watch import JUDGED, Look

Points = Sequence[tuple[float, float]]
MOST_SLOPE = 1.0
"""Megabytes a minute."""
_PARTS = 120
_FILES_OVER_ALL = 8  # Segments of the spool come and go, connections of the store.
_TASKS_LEFT = 2


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal, what was found, and whether that is enough."""

    name: str
    limit: str
    found: str
    good: bool


def slope(points: Points) -> float:
    """Robust, per unit of x; 0.0 for fewer than two points."""
    thin = _thinned(points)
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(thin, 2) if x2 > x1]
    return median(slopes) if slopes else 0.0


def _thinned(points: Points) -> list[tuple[float, float]]:
    if len(points) <= _PARTS:
        return list(points)
    size = len(points) / _PARTS
    parts = [points[int(n * size) : int((n + 1) * size)] for n in range(_PARTS)]
    return [(median(x for x, _ in part), median(y for _, y in part)) for part in parts]


def of(looks: Sequence[Look], field: str, role: str) -> list[tuple[float, float]]:
    """A role's figure by minutes; a second in which it was not there is left out."""
    return [(e.at / 60, found[role]) for e in looks if role in (found := getattr(e, field))]


def goals(looks: Sequence[Look], before: Look, after: Look, warmup: float) -> list[Goal]:
    """All of them. `before` and `after`: at rest."""
    steady = [each for each in looks if each.at >= warmup]
    made = []
    for role in JUDGED:
        points = of(steady, "pss", role)
        rate = slope(points)
        made.append(
            Goal(
                f"memory of {role}",
                f"<= {MOST_SLOPE:g} MB/min",
                f"{rate:+.3f} MB/min, {_range(points)}",
                bool(points) and rate <= MOST_SLOPE,
            )
        )
    for role in JUDGED:
        points = of(steady, "files", role)
        grown = slope(points) * (points[-1][0] - points[0][0]) if points else 0.0
        rest = after.files.get(role, 0) - before.files.get(role, 0)
        good = bool(points) and grown <= _FILES_OVER_ALL and rest <= _FILES_OVER_ALL
        found = f"{grown:+.0f} by slope, {rest:+d} at rest"
        made.append(Goal(f"files of {role}", f"<= +{_FILES_OVER_ALL}", found, good))
    made.append(_tasks(before, after))
    return made


def _tasks(before: Look, after: Look) -> Goal:
    limit = f"<= +{_TASKS_LEFT}"
    if before.tasks is None or after.tasks is None:
        return Goal("tasks left in workers", limit, "no pulse told", False)
    left = after.tasks - before.tasks
    found = f"{left:+d} ({before.tasks} before, {after.tasks} after)"
    good = left <= _TASKS_LEFT and not after.in_flight
    return Goal("tasks left in workers", limit, found, good)


def _range(points: Points) -> str:
    values = [y for _, y in points]
    return f"{values[0]:.1f} to {values[-1]:.1f} MB" if values else "never seen"
