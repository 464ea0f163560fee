"""Calendar windows: the day, week or month of a time zone in which a moment lies.

Computed from the moment alone: nothing is ever reset, so nothing can fail to be. Bounds are whole
seconds since the epoch; a day lasts 23 or 25 hours where the clocks change.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

Period = Literal["day", "week", "month", "total"]


class Span(NamedTuple):
    """From `start` up to, and without, `end`; None is no end."""

    start: int
    end: int | None

    def __contains__(self, at: object) -> bool:
        if not isinstance(at, int | float):
            return False
        return self.start <= at and (self.end is None or at < self.end)


ALL_TIME = Span(0, None)


def load(zone: str) -> None:
    """Read what is known of a zone, so that nothing has to wait for its file later. Raises
    ZoneInfoNotFoundError."""
    _zone(zone)


def span(period: Period, zone: str, at: float) -> Span:
    """The window of `at`. Raises ZoneInfoNotFoundError for a zone that is not known."""
    if period == "total":
        return ALL_TIME
    local = datetime.fromtimestamp(at, _zone(zone))
    begin = _begin(period, local)
    return Span(_seconds(begin), _seconds(_next(period, begin)))


def before(period: Period, zone: str, of: Span) -> Span | None:
    """The window that ends where this one begins; None before all time."""
    return None if period == "total" else span(period, zone, of.start - 1)


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _begin(period: Period, local: datetime) -> datetime:
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period == "week":
        return midnight - timedelta(days=local.weekday())
    return midnight.replace(day=1) if period == "month" else midnight


def _next(period: Period, begin: datetime) -> datetime:
    if period == "month":
        return (begin + timedelta(days=32)).replace(day=1)
    return begin + timedelta(days=7 if period == "week" else 1)


def _seconds(local: datetime) -> int:
    return int(local.timestamp())
