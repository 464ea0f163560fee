"""Whole numbers and parts of a whole with bounds: a refusal says what may be written."""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, StrictInt

from proxy.config.values import fraction

_MOST_WAITING = 100_000
_MOST_TOKENS = 10**9
_LARGEST_SHARE = 0.5
_MOST_PRIORITY = 10**6


def between(least: int, most: int) -> Callable[[int], int]:
    """A check that a whole number is within bounds."""

    def check(value: int) -> int:
        if not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return check


def _half(value: object) -> float:
    try:
        number = fraction(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= _LARGEST_SHARE:
        raise ValueError(f"must be a number from 0 to {_LARGEST_SHARE}")
    return number


Waiting = Annotated[StrictInt, AfterValidator(between(0, _MOST_WAITING))]
Tier = Annotated[StrictInt, AfterValidator(between(1, 9))]
Tries = Annotated[StrictInt, AfterValidator(between(1, 100))]
Failures = Annotated[StrictInt, AfterValidator(between(1, 1000))]
Window = Annotated[StrictInt, AfterValidator(between(1, _MOST_TOKENS))]
Tokens = Annotated[StrictInt, AfterValidator(between(0, _MOST_TOKENS))]
Priority = Annotated[StrictInt, AfterValidator(between(-_MOST_PRIORITY, _MOST_PRIORITY))]
ExtraLoad = Annotated[float, BeforeValidator(_half)]
