"""What callers are told of limits and budgets: refusals, and headers that say how they stand.

Names and formats are OpenAI's, whose SDKs read them: `x-ratelimit-*`, `retry-after` in whole
seconds, `retry-after-ms`, durations such as `1m30s`.
"""

import math
from collections.abc import Iterable

from proxy.base.errors import BudgetExceeded, HeaderPairs, LimitReached, StoreUnavailable
from proxy.core.quota import Calendar, Denial, Level, Rule

_NANO = 10**9
_UNITS = {"requests": "requests", "tokens": "tokens", "concurrency": "requests at a time"}
_PER = {60: " per minute", 86400: " per day"}
NO_RETRY: HeaderPairs = ((b"x-should-retry", b"false"),)


def limit_reached(denial: Denial) -> LimitReached:
    """The refusal of a request that a limit stands against."""
    rule = denial.level.rule
    what = f"the {rule.scope} has used up its limit of {_amount(rule)} (`{rule.name}`)"
    if denial.retry_after is None:
        what = f"this request needs more than the limit of {rule.scope}: {_amount(rule)} "
        return LimitReached(
            f"{what}(`{rule.name}`); it can never be let through as it is",
            headers=NO_RETRY + rate_headers((denial.level,)),
        )
    return LimitReached(
        f"{what}; try again in {duration(denial.retry_after)}",
        headers=retry(denial.retry_after) + rate_headers((denial.level,)),
    )


def budget_exceeded(denial: Denial, status: int) -> BudgetExceeded:
    """The refusal of a request that a budget cannot pay for."""
    rule = denial.level.rule
    until = ""
    if denial.retry_after is not None:
        until = f"; its next {_period(rule)} begins in {duration(denial.retry_after)}"
    error = BudgetExceeded(
        f"the budget of {rule.scope}, {usd(rule.limit)} USD {_of_period(rule)}, has "
        f"{usd(denial.level.remaining)} USD left, less than this request may cost{until}",
        headers=(
            (b"x-llm-proxy-budget-remaining", usd(denial.level.remaining).encode()),
            *NO_RETRY,
        ),
    )
    error.status = status
    return error


def unavailable(what: str) -> StoreUnavailable:
    """The refusal while limits or budgets cannot be counted."""
    return StoreUnavailable(
        f"{what} cannot be counted at the moment, and no request is served without; try again",
        headers=retry(1.0),
    )


def retry(seconds: float) -> HeaderPairs:
    """When to come again: `retry-after` for everybody, `retry-after-ms` for who reads it."""
    ms = max(1, math.ceil(seconds * 1000))
    return (
        (b"retry-after", b"%d" % math.ceil(ms / 1000)),
        (b"retry-after-ms", b"%d" % ms),
    )


def rate_headers(levels: Iterable[Level]) -> HeaderPairs:
    """How the tightest limits on requests and on tokens stand."""
    tightest: dict[str, Level] = {}
    for level in levels:
        rule = level.rule
        if rule.measure in ("requests", "tokens"):
            known = tightest.get(rule.measure)
            if known is None or _share(level) < _share(known):
                tightest[rule.measure] = level
    pairs: list[tuple[bytes, bytes]] = []
    for measure, level in tightest.items():
        name = measure.encode()
        pairs += (
            (b"x-ratelimit-limit-" + name, b"%d" % level.rule.limit),
            (b"x-ratelimit-remaining-" + name, b"%d" % level.remaining),
            (b"x-ratelimit-reset-" + name, duration(level.reset).encode()),
        )
    return tuple(pairs)


def budget_header(levels: Iterable[Level]) -> tuple[bytes, bytes] | None:
    """What is left of the tightest hard budget, in USD."""
    left = [each.remaining for each in levels if each.rule.measure == "money" and each.rule.hard]
    return (b"x-llm-proxy-budget-remaining", usd(min(left)).encode()) if left else None


def usd(nano: int) -> str:
    """Nano-USD as dollars, to the last digit: `0.000000001`, `12.5`."""
    whole, rest = divmod(max(0, nano), _NANO)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def duration(seconds: float) -> str:
    """As OpenAI writes it: `250ms`, `1s`, `1m30s`, `2h0m5s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    whole = math.ceil(seconds)
    hours, minutes, left = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"


def _share(level: Level) -> float:
    return level.remaining / level.rule.limit if level.rule.limit else 0.0


def _amount(rule: Rule) -> str:
    window = getattr(rule.window, "seconds", None)
    return f"{rule.limit} {_UNITS[rule.measure]}" + _PER.get(window or 0, "")


def _period(rule: Rule) -> str:
    return rule.window.period if isinstance(rule.window, Calendar) else "period"


def _of_period(rule: Rule) -> str:
    period = _period(rule)
    return "in total" if period == "total" else f"per {period}"
