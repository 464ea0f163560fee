"""What the scripts say of how rules stand, as the port says it.

Of a sliding window they tell the total and the newest bucket, of a budget what was taken and what
was carried over: the rest is arithmetic that Python does exactly.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from proxy.base.periods import Span
from proxy.core.quota import CONCURRENCY_RETRY, Denial, Level, Rule, Sliding, Stand, Standing

Part = tuple[int, int, float, float]
"""A limit in plain numbers: where its total is told, the limit, by what to multiply the total for
the part that is used, and how long a bucket is, in seconds."""


class Parts(NamedTuple):
    """What is told of with every answer: limits by measure, and of hard budgets place and limit."""

    requests: tuple[Part, ...]
    tokens: tuple[Part, ...]
    money: tuple[tuple[int, int], ...]


_decode = msgspec.msgpack.Decoder(list[int | str]).decode


def parts(rules: Sequence[Rule]) -> Parts:
    """The rules in plain numbers."""
    placed = [(2 * number, rule) for number, rule in enumerate(rules)]
    return Parts(
        _limits(placed, "requests"),
        _limits(placed, "tokens"),
        tuple((at, rule.limit) for at, rule in placed if rule.measure == "money" and rule.hard),
    )


def _limits(placed: Sequence[tuple[int, Rule]], measure: str) -> tuple[Part, ...]:
    """Of a limit of 0 nothing is left at any time: no other is tighter."""
    found = []
    for at, rule in placed:
        if rule.measure == measure and isinstance(rule.window, Sliding):
            part = at, rule.limit, 1 / (rule.limit or 1), rule.window.seconds / 60
            if not rule.limit:
                return (part,)
            found.append(part)
    return tuple(found)


def standing(parts: Parts, now: int, told: bytes, given: int) -> Standing:
    """The tightest of all levels, without making any."""
    numbers = _decode(told)
    requests, tokens, money = parts
    least = None
    for at, limit in money:
        left = limit + int(numbers[at + 1]) - int(numbers[at]) - given
        if least is None or left < least:
            least = left if left > 0 else 0
    return (
        _tightest(requests, numbers, now) if requests else None,
        _tightest(tokens, numbers, now) if tokens else None,
        least,
    )


def _tightest(parts: tuple[Part, ...], numbers: list[int | str], now: int) -> Stand:
    found, most = parts[0], -1.0
    for part in parts:
        used = int(numbers[part[0]]) * part[2]
        if used > most:
            most, found = used, part
    at, limit, _, size = found
    total = int(numbers[at])
    if not total:
        return limit, limit, 0.0
    reset = (int(numbers[at + 1]) + 61) * size - now / 1000
    return limit, limit - total if limit > total else 0, reset if reset > 0 else 0.0


def levels(
    rules: Sequence[Rule], spans: Sequence[Span | None], now: int, told: bytes, given: int
) -> tuple[Level, ...]:
    """How rules stand after so much money was taken from those of money."""
    numbers = _decode(told)
    pairs = zip(rules, spans, numbers[::2], numbers[1::2], strict=True)
    return tuple(
        [_level(rule, of, now, (int(one), int(other)), given) for rule, of, one, other in pairs]
    )


def denial(rule: Rule, of: Span | None, now: int, wait: int, told: bytes) -> Denial:
    """The rule that opens last, and when."""
    one, other = _decode(told)
    level = _level(rule, of, now, (int(one), int(other)), 0)
    if wait < 0:
        return Denial(level, None)
    return Denial(level, CONCURRENCY_RETRY if rule.window is None else wait / 1000)


def _level(rule: Rule, of: Span | None, now: int, told: tuple[int, int], given: int) -> Level:
    one, other = told
    window = rule.window
    if isinstance(window, Sliding):
        reset = (other + 61) * window.seconds / 60 - now / 1000 if one else 0.0
        return Level(rule, max(rule.limit - one, 0), max(reset, 0.0))
    if window is None:
        return Level(rule, max(rule.limit - one, 0), CONCURRENCY_RETRY if one else 0.0)
    taken = one + given
    reset = 0.0
    if taken > 0:
        reset = of.end - now / 1000 if of and of.end is not None else math.inf
    return Level(rule, max(rule.limit + other - taken, 0), reset)
