"""What callers are told of limits and budgets: refusals, and headers that say how they stand.

Names and formats are OpenAI's, whose SDKs read them: `x-ratelimit-*`, `retry-after` in whole
seconds, `retry-after-ms`, durations such as `1m30s`.
"""

import math

from proxy.base.errors import BudgetExceeded, HeaderPairs, LimitReached, StoreUnavailable
from proxy.core.quota import Calendar, Denial, Level, Rule

_NANO = 10**9
_UNITS = {"requests": "requests", "tokens": "tokens", "concurrency": "requests at a time"}
_PER = {60: " per minute", 86400: " per day"}
_FIELDS = {
    measure: (
        b"x-ratelimit-limit-%b" % measure.encode(),
        b"x-ratelimit-remaining-%b" % measure.encode(),
        b"x-ratelimit-reset-%b" % measure.encode(),
    )
    for measure in ("requests", "tokens")
}
NO_RETRY: HeaderPairs = ((b"x-should-retry", b"false"),)


def limit_reached(denial: Denial) -> LimitReached:
    """The refusal of a request that a limit stands against."""
    rule = denial.level.rule
    what = f"the {rule.scope} has used up its limit of {_amount(rule)} (`{rule.name}`)"
    if denial.retry_after is None:
        what = f"this request needs more than the limit of {rule.scope}: {_amount(rule)} "
        return LimitReached(
            f"{what}(`{rule.name}`); it can never be let through as it is",
            headers=NO_RETRY + rate_headers(denial.level),
        )
    return LimitReached(
        f"{what}; try again in {duration(denial.retry_after)}",
        headers=retry(denial.retry_after) + rate_headers(denial.level),
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
            budget_header(denial.level.remaining),
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


def rate_headers(*levels: Level | None) -> HeaderPairs:
    """How a limit on requests and one on tokens stand."""
    pairs: list[tuple[bytes, bytes]] = []
    for level in levels:
        if level is None or level.rule.measure not in _FIELDS:
            continue
        rule, remaining, reset = level
        limit_name, remaining_name, reset_name = _FIELDS[rule.measure]
        pairs.append((limit_name, b"%d" % rule.limit))
        pairs.append((remaining_name, b"%d" % remaining))
        pairs.append((reset_name, duration(reset).encode()))
    return tuple(pairs)


def budget_header(left: int) -> tuple[bytes, bytes]:
    """What is left of the tightest hard budget, in USD."""
    return (b"x-llm-proxy-budget-remaining", usd(left).encode())


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


def _amount(rule: Rule) -> str:
    window = getattr(rule.window, "seconds", None)
    return f"{rule.limit} {_UNITS[rule.measure]}" + _PER.get(window or 0, "")


def _period(rule: Rule) -> str:
    return rule.window.period if isinstance(rule.window, Calendar) else "period"


def _of_period(rule: Rule) -> str:
    period = _period(rule)
    return "in total" if period == "total" else f"per {period}"
