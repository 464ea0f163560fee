"""Strings and numbers that fit the leaves of a JSON schema. Formats are kept simple."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_FORMATS = {
    "date-time": "2025-06-15T15:06:40Z",
    "date": "2025-06-15",
    "time": "15:06:40Z",
    "duration": "PT20M",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/demo",
    "url": "https://example.com/demo",
    "uuid": "00000000-0000-4000-8000-000000000001",
}
_MAX_LENGTH = 10_000
_MAX_NUMBER = 1 << 53


class Unfit(Exception):
    """No value fits the schema. `final`: looking at other alternatives is no use either."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.final = final


def string(schema: dict[str, Any], name: str, turn: int) -> str:
    """A string for a field called `name`; different for each `turn` where lengths allow it."""
    least, most = schema.get("minLength", 0), schema.get("maxLength", _MAX_LENGTH)
    if not isinstance(least, int) or not isinstance(most, int) or least > most:
        raise Unfit("the lengths of a string must be numbers in order")
    if least > _MAX_LENGTH:
        raise Unfit(f"the demo vendor writes at most {_MAX_LENGTH} characters", final=True)
    form = schema.get("format")
    if isinstance(form, str) and form in _FORMATS:
        return _FORMATS[form]
    words = f"demo {name.replace('_', ' ')[:60]}" + (f" {turn + 1}" if turn else "")
    if len(words) > most:
        words = (f"{turn + 1}" if turn else words)[:most]
    return words.ljust(least, ".")


@dataclass(frozen=True, slots=True)
class _Range:
    """The numbers between two bounds; None is no bound, `open` means that it is excluded itself."""

    low: Fraction | None
    low_open: bool
    high: Fraction | None
    high_open: bool

    def holds(self, value: Fraction) -> bool:
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return False
        return self.high is None or value < self.high or (value == self.high and not self.high_open)


def number(schema: dict[str, Any], turn: int, *, whole: bool) -> int | float:
    """A number between the bounds on the grid of multipleOf; different for each `turn`."""
    low, low_open = _bound(schema, "minimum", "exclusiveMinimum", sign=1)
    high, high_open = _bound(schema, "maximum", "exclusiveMaximum", sign=-1)
    wanted = _Range(low, low_open, high, high_open)
    step = _step(schema, whole=whole)
    if step is None:
        return float(_checked(_between(wanted, turn), wanted))
    first = _first_on_grid(wanted, step)
    chosen = first + turn * step
    chosen = _checked(chosen if wanted.holds(chosen) else first, wanted)
    return int(chosen) if chosen.denominator == 1 else float(chosen)


def _checked(chosen: Fraction, wanted: _Range) -> Fraction:
    if not wanted.holds(chosen):
        raise Unfit("no number fits the bounds")
    return chosen


def _bound(
    schema: dict[str, Any], closed: str, opened: str, *, sign: int
) -> tuple[Fraction | None, bool]:
    """The tighter bound of one side (`sign`: 1 below, -1 above) and whether it is excluded."""
    bounds = [
        (sign * _exact(schema[key]), key == opened) for key in (closed, opened) if key in schema
    ]
    # A bound that our numbers never reach is no bound.
    bounds = [bound for bound in bounds if bound[0] > -_MAX_NUMBER]
    if not bounds:
        return None, False
    # Of two equal bounds the one that is excluded is the tighter.
    value, excluded = max(bounds)
    if value >= _MAX_NUMBER:
        raise Unfit("the bound of a number is too large")
    return sign * value, excluded


def _step(schema: dict[str, Any], *, whole: bool) -> Fraction | None:
    if "multipleOf" not in schema:
        return Fraction(1) if whole else None
    step = _exact(schema["multipleOf"])
    if not 0 < step < _MAX_NUMBER:
        raise Unfit("multipleOf must be more than nothing and not too large")
    # An integer that is a multiple of a/b (in lowest terms) is a multiple of a.
    return Fraction(step.numerator) if whole else step


def _first_on_grid(wanted: _Range, step: Fraction) -> Fraction:
    """The multiple of `step` to begin with: above the lower bound, or else a small one."""
    if wanted.low is not None:
        first = math.ceil(wanted.low / step) * step
        return first + step if wanted.low_open and first == wanted.low else first
    if wanted.high is None or wanted.holds(step):
        return step
    last = math.floor(wanted.high / step) * step
    return last - step if wanted.high_open and last == wanted.high else last


def _between(wanted: _Range, turn: int) -> Fraction:
    """Any number in the range, away from its ends where it has two."""
    low, high = wanted.low, wanted.high
    if low is not None and high is not None:
        return low + (high - low) * Fraction(turn + 1, turn + 2)
    if low is not None:
        return low + 1 + turn
    if high is not None:
        return high - 1 - turn
    return Fraction(3, 2) + turn


def _exact(value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unfit("a bound must be a number")
    # Through str: 0.1 means one tenth, not the nearest binary fraction.
    return Fraction(str(value))
