"""Single values of the language and what they become: `5s` → 5.0, `32MiB` → 33554432.

Each parser takes what YAML gives, and also its own result, so that a dumped snapshot parses again.
A refusal continues the sentence "`key` …" and never shows the value, which may be a secret.
"""

import math
import re
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    SerializationInfo,
    StrictInt,
    StrictStr,
)

from proxy.base.secret import Secret

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?", re.ASCII)
_SECONDS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DAY = 86400.0
_LONGEST = 366 * _DAY
_SHORTEST_INTERVAL = 0.01
_SMALLEST_SEGMENT = 4096
_RETENTION = (_DAY, 3660 * _DAY)
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(B|KiB|MiB|GiB)?", re.ASCII)
_BYTES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_LARGEST = 1024**4
_VISIBLE = re.compile(r"[!-~]+")
_NO_PATH = re.compile("[\0\ud800-\udfff]")
_LONGEST_LABEL = 128
_HIDDEN = "***"


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def seconds(value: object) -> float:
    """A duration; a plain number is seconds."""
    parsed = _seconds(value)
    if not 0 <= parsed <= _LONGEST:
        raise ValueError("must be a duration from 0 to 366d")
    return parsed


def retention(value: object) -> float:
    """How long what is kept by the day is kept."""
    parsed = _seconds(value)
    if not _RETENTION[0] <= parsed <= _RETENTION[1]:
        raise ValueError("must be a duration from 1d to 3660d")
    return parsed


def _seconds(value: object) -> float:
    parsed = _number(value)
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        number, unit = match.groups()
        # Whole milliseconds divide exactly where multiplying by 0.001 would not.
        parsed = float(number) / 1000 if unit == "ms" else float(number) * _SECONDS[unit]
    if parsed is None:
        raise ValueError("must be a duration such as 250ms, 5s, 2m, 1h or 7d")
    return parsed


def positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


def interval(value: float) -> float:
    """How often something is done: never so often that it is all that is done."""
    if value < _SHORTEST_INTERVAL:
        raise ValueError("must be 10ms or more")
    return value


def size(value: object) -> int:
    """A number of bytes."""
    parsed: float | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        parsed = value
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        number, unit = match.groups()
        parsed = int(number) * _BYTES[unit] if number.isdigit() else float(number) * _BYTES[unit]
    if parsed is None or parsed != int(parsed):
        raise ValueError("must be a size such as 64KiB, 32MiB, 1GiB or a whole number of bytes")
    if not 1 <= parsed <= _LARGEST:
        raise ValueError("must be a size from 1 byte to 1024GiB")
    return int(parsed)


def segment(value: int) -> int:
    if value < _SMALLEST_SEGMENT:
        raise ValueError("must be 4KiB or more")
    return value


def fraction(value: object) -> float:
    number = _number(value)
    if number is None or not 0 <= number <= 1:
        raise ValueError("must be a number from 0 to 1")
    return number


def share(value: object) -> float:
    number = _number(value)
    if number is None or number < 0:
        raise ValueError("must be a number, 0 or more")
    return number


def processes(value: object) -> int | str:
    if value == "auto":
        return "auto"
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1024:
        return value
    raise ValueError('must be a whole number from 1 to 1024, or "auto"')


def secret(value: object) -> Secret:
    """A key that travels in a header: visible ASCII."""
    text = _text(value)
    if not text:
        raise ValueError("must not be empty")
    if not _VISIBLE.fullmatch(text):
        raise ValueError("must be visible ASCII characters without spaces")
    return Secret(text)


def field_value(value: object) -> Secret:
    """The value of a header field (RFC 9110 §5.5), kept secret: it may be a credential."""
    text = _text(value)
    if not re.fullmatch(r"[\t -~]*", text):
        raise ValueError("must be one line of ASCII text (RFC 9110)")
    if text != text.strip():
        raise ValueError("must not begin or end with a space")
    return Secret(text)


def _text(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    if not isinstance(value, str):
        raise ValueError("must be text; put it in quotes")  # noqa: TRY004 - pydantic's contract.
    return str(value)


def moment(value: object) -> datetime:
    """A date (its first moment) or date and time, of UTC unless it says otherwise."""
    parsed: datetime | None = value if isinstance(value, datetime) else None
    if isinstance(value, str):
        try:
            day_only = len(value) == len("2030-01-31")
            parsed = (
                datetime.combine(date.fromisoformat(value), time())
                if day_only
                else datetime.fromisoformat(value)
            )
            parsed = parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            parsed = None
    if parsed is None:
        raise ValueError("must be a date (2030-01-31) or a time (2030-01-31T12:00:00Z)")
    return parsed


def some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """At least one; not `min_length`, which does not count entries that are themselves wrong."""
    if not values:
        raise ValueError("must have at least one entry")
    return values


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("must not have the same entry twice")
    return values


def pattern(value: str) -> str:
    """A model's name, in which one `*` may stand for anything."""
    if not value or not value.isprintable() or value != value.strip():
        raise ValueError("must be a name: printable, not empty, no space around it")
    if value.count("*") > 1:
        raise ValueError("may have one `*` at most")
    return value


def filled(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be text, printable and not empty")
    return value


def label(value: str) -> str:
    """A name that usage is counted by."""
    if not value or not value.isprintable() or value != value.strip():
        raise ValueError("must be a name: printable, not empty, no space around it")
    if len(value) > _LONGEST_LABEL:
        raise ValueError(f"must have {_LONGEST_LABEL} characters at most")
    return value


def folder(value: object) -> object:
    """The name of a folder that need not exist."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or _NO_PATH.search(value):
        raise ValueError("must be the name of a folder")
    return Path(value)


def shown(value: Secret, info: SerializationInfo[Any]) -> str:
    return value.reveal() if (info.context or {}).get("reveal") else _HIDDEN


Duration = Annotated[float, BeforeValidator(seconds)]
PositiveDuration = Annotated[float, BeforeValidator(seconds), AfterValidator(positive)]
Interval = Annotated[float, BeforeValidator(seconds), AfterValidator(interval)]
Retention = Annotated[float, BeforeValidator(retention)]
Size = Annotated[int, BeforeValidator(size)]
SegmentSize = Annotated[int, BeforeValidator(size), AfterValidator(segment)]
Fraction = Annotated[float, BeforeValidator(fraction)]
Share = Annotated[float, BeforeValidator(share)]
Processes = Annotated[int | str, PlainValidator(processes)]
Count = Annotated[StrictInt, AfterValidator(positive)]
Name = Annotated[StrictStr, AfterValidator(filled)]
Label = Annotated[StrictStr, AfterValidator(label)]
Labels = Annotated[tuple[Label, ...], AfterValidator(distinct)]
Folder = Annotated[Path, BeforeValidator(folder)]
Pattern = Annotated[StrictStr, AfterValidator(pattern)]
Key = Annotated[Secret, PlainValidator(secret), PlainSerializer(shown)]
FieldValue = Annotated[Secret, PlainValidator(field_value), PlainSerializer(shown)]
Moment = Annotated[datetime, BeforeValidator(moment), PlainSerializer(datetime.isoformat)]
