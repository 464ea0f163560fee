"""What the scripts say of how rules stand, as the port says it.

Of a sliding window they tell the total and the newest bucket, of a budget what was taken and what
was carried over: the rest is arithmetic that Python does exactly.
"""

import math
from collections.abc import Sequence

import msgspec

from proxy.base.periods import Span
from proxy.core.quota import CONCURRENCY_RETRY, Denial, Level, Rule, Sliding

_decode = msgspec.msgpack.Decoder(list[int | str]).decode


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
