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

Told = tuple[int, bytes, list[int]]
"""When it was granted, how every rule stood then, and which of them were the tightest."""


class Parts(NamedTuple):
    """What is told of with every answer: of every rule its limit and, of sliding ones, how long a
    bucket is, in seconds; of hard budgets where they are told of and their limits."""

    limits: tuple[tuple[int, float], ...]
    money: tuple[tuple[int, int], ...]


_decode = msgspec.msgpack.Decoder(list[int | str]).decode


def parts(rules: Sequence[Rule]) -> Parts:
    """The rules in plain numbers."""
    return Parts(
        tuple((rule.limit, _bucket(rule)) for rule in rules),
        tuple(
            (2 * number, rule.limit)
            for number, rule in enumerate(rules)
            if rule.measure == "money" and rule.hard
        ),
    )


def _bucket(rule: Rule) -> float:
    return rule.window.seconds / 60 if isinstance(rule.window, Sliding) else 0.0


def standing(parts: Parts, told: Told, given: int) -> Standing:
    """The tightest of all levels, without making any."""
    now, every, tight = told
    requests, total, newest, tokens, total_tokens, newest_tokens, least = tight
    limits = parts.limits
    return (
        None if requests < 0 else _stand(limits[requests], total, newest, now),
        None if tokens < 0 else _stand(limits[tokens], total_tokens, newest_tokens, now),
        (None if least == -1 else _least(parts, every, given)) if least < 0 else least,
    )


def _stand(of: tuple[int, float], total: int, newest: int, now: int) -> Stand:
    limit, size = of
    if not total:
        return limit, limit, 0.0
    reset = (newest + 61) * size - now / 1000
    return limit, limit - total if limit > total else 0, reset if reset > 0 else 0.0


def _least(parts: Parts, told: bytes, given: int) -> int:
    """What is left of the tightest budget, where that is more than Lua's numbers can tell."""
    numbers = _decode(told)
    left = (limit + int(numbers[at + 1]) - int(numbers[at]) for at, limit in parts.money)
    return max(0, min(left) - given)


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
