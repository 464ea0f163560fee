"""What somebody asks of the books, from words to a query: the same for the command and the API.

Whatever is wrong is refused with the parameter's name and the nearest name that is right. Times are
UTC unless they say otherwise. Reports read the roll-ups of whole hours, so a period is widened to
the hours that it touches; an export of single records takes it to the microsecond.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeGuard, get_args

from proxy.config.near import nearest
from proxy.core.accounting import Dimension, UsageQuery

DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
TIMES: tuple[Dimension, ...] = ("hour", "day")
DEFAULT_BY = "model"
DEFAULT_SINCE = "7d"

_AGO = re.compile(r"([0-9]{1,7})(m|h|d|w)", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)
_MOST_VALUES = 100
_LONGEST = 1024


class BadQuery(ValueError):
    """A question that cannot be answered. `parameter`: which part of it."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(f"`{parameter}` {message}")
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of a question. None: not said."""

    by: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Period:
    """From a moment on, until before another or without an end."""

    since: datetime
    until: datetime | None


def query_of(asked: Asked, now: datetime) -> UsageQuery:
    """The query for a report. Raises BadQuery."""
    span = whole_hours(period_of(asked, now))
    return UsageQuery(dimensions(asked.by), span.since, span.until, conditions(asked.where))


def period_of(asked: Asked, now: datetime) -> Period:
    """The period to the microsecond. Raises BadQuery."""
    since = moment("since", asked.since or DEFAULT_SINCE, now)
    until = moment("until", asked.until, now) if asked.until else None
    if until is not None and until <= since:
        raise BadQuery("until", f"must be later than `since`, which is {since:%Y-%m-%d %H:%M} UTC")
    return Period(since, until)


def whole_hours(period: Period) -> Period:
    """The hours that a period touches."""
    since = period.since.replace(minute=0, second=0, microsecond=0)
    if (until := period.until) is None:
        return Period(since, None)
    last = until.replace(minute=0, second=0, microsecond=0)
    return Period(since, last if last == until else last + _HOUR)


def dimensions(words: Iterable[str]) -> tuple[Dimension, ...]:
    """What to count by, each once, from words that may be lists with commas. Raises BadQuery."""
    listed = [name.strip() for word in words for name in word.split(",")]
    names = [name for name in listed if name] if listed else [DEFAULT_BY]
    if not names:
        raise BadQuery("by", f"must name at least one of {', '.join(DIMENSIONS)}")
    return tuple(dict.fromkeys(_dimension("by", name) for name in names))


def conditions(words: Iterable[str]) -> tuple[tuple[Dimension, tuple[str, ...]], ...]:
    """What each dimension must be one of, from `name=value`. Raises BadQuery."""
    found: dict[Dimension, dict[str, None]] = {}
    for count, word in enumerate(words, 1):
        name, sign, value = word.partition("=")
        if not sign:
            raise BadQuery("where", f"must be NAME=VALUE such as model=gpt-4o, not {_quoted(word)}")
        if count > _MOST_VALUES or len(value) > _LONGEST:
            raise BadQuery(
                "where", f"takes at most {_MOST_VALUES} values of {_LONGEST} characters each"
            )
        dimension = _dimension("where", name.strip())
        if dimension in TIMES:
            raise BadQuery("where", f"does not take `{dimension}`: use `since` and `until`")
        found.setdefault(dimension, {})[_stored(value)] = None
    if len(found.get("tag", ())) > 1:
        raise BadQuery("where", "takes one tag: a request may have several, and counts once")
    return tuple((dimension, tuple(values)) for dimension, values in found.items())


def moment(parameter: str, text: str, now: datetime) -> datetime:
    """A time: so long ago (30m, 12h, 7d, 4w), today, yesterday, now, a date, or a date and a time.
    Raises BadQuery."""
    try:
        found = _moment(text.strip(), now)
    except (ValueError, OverflowError):
        found = None
    if found is None or not _BEGIN <= found < _END:
        raise BadQuery(
            parameter,
            "must be a time such as 12h, 7d, today, 2026-11-01 or 2026-11-01T13:00Z, "
            f"not {_quoted(text)}",
        )
    return found


def _moment(text: str, now: datetime) -> datetime:
    if (match := _AGO.fullmatch(text)) is not None:
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match text:
        case "now":
            return now
        case "today":
            return midnight
        case "yesterday":
            return midnight - _DAY
        case _:
            found = datetime.fromisoformat(text)
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _dimension(parameter: str, name: str) -> Dimension:
    if _is_dimension(name):
        return name
    near = nearest(name, DIMENSIONS)
    hint = f"did you mean `{near}`?" if near else f"there are {', '.join(DIMENSIONS)}"
    raise BadQuery(parameter, f"does not know {_quoted(name)}; {hint}")


def _is_dimension(name: str) -> TypeGuard[Dimension]:
    return name in DIMENSIONS


def _quoted(text: str) -> str:
    shown = "".join(each if each.isprintable() else "?" for each in text[:64])
    return f"`{shown}`"


def _stored(value: str) -> str:
    """A name as the store has it: without what PostgreSQL cannot hold."""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
