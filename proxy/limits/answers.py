"""What callers are told of limits and budgets: refusals, and headers that say how they stand.

Names and formats are OpenAI's, whose SDKs read them: `x-ratelimit-*`, `retry-after` in whole
seconds, `retry-after-ms`, durations such as `1m30s`.
"""

from collections.abc import Iterable
from functools import lru_cache
from math import ceil
from typing import Final

from proxy.base.errors import BudgetExceeded, HeaderPairs, LimitReached, StoreUnavailable
from proxy.core.quota import Calendar, Denial, Level, Rule, Stand

Field = tuple[bytes, bytes]

_NANO: Final = 10**9
_UNITS: Final = {"requests": "requests", "tokens": "tokens", "concurrency": "requests at a time"}
_PER: Final = {60: " per minute", 86400: " per day"}
_FIELDS: Final = {
    measure: (
        b"x-ratelimit-limit-%b" % measure.encode(),
        b"x-ratelimit-remaining-%b" % measure.encode(),
        b"x-ratelimit-reset-%b" % measure.encode(),
    )
    for measure in ("requests", "tokens")
}
_BUDGET_LINE: Final = b"%bx-llm-proxy-budget-remaining: %d.%09d"
_WHOLE_BUDGET_LINE: Final = b"x-llm-proxy-budget-remaining: %d\r\n"
NO_RETRY: Final[HeaderPairs] = ((b"x-should-retry", b"false"),)


def limit_reached(denial: Denial) -> LimitReached:
    """The refusal of a request that a limit stands against."""
    rule = denial.level.rule
    what = f"the {rule.scope} has used up its limit of {_amount(rule)} (`{rule.name}`)"
    if denial.retry_after is None:
        what = f"this request needs more than the limit of {rule.scope}: {_amount(rule)} "
        return LimitReached(
            f"{what}(`{rule.name}`); it can never be let through as it is",
            headers=(*NO_RETRY, *_level_headers(denial.level)),
        )
    return LimitReached(
        f"{what}; try again in {duration(denial.retry_after)}",
        headers=(*retry(denial.retry_after), *_level_headers(denial.level)),
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
    ms = max(1, ceil(seconds * 1000))
    return (
        (b"retry-after", b"%d" % ceil(ms / 1000)),
        (b"retry-after-ms", b"%d" % ms),
    )


def lines(requests: Stand | None, tokens: Stand | None, left: int | None) -> bytes:
    """How the tightest limits on requests and on tokens stand, and what is left of the tightest
    hard budget, as header lines."""
    if requests is None or tokens is None or requests[2] < 1 or tokens[2] < 1:
        text = _unshared(requests, tokens)
    else:
        most, remaining, reset = requests
        most_tokens, tokens_remaining, tokens_reset = tokens
        # Rounded up as `ceil` does, without a call.
        text = _lines(most, -(-reset // 1), most_tokens, -(-tokens_reset // 1))
        text %= (remaining, tokens_remaining)
    if left is None:
        return text
    rest = left % _NANO
    if not rest:
        return text + _WHOLE_BUDGET_LINE % (left // _NANO)
    return (_BUDGET_LINE % (text, left // _NANO, rest)).rstrip(b"0") + b"\r\n"


def _unshared(requests: Stand | None, tokens: Stand | None) -> bytes:
    return b"".join(
        b"%b: %b\r\n" % field
        for measure, stand in (("requests", requests), ("tokens", tokens))
        if stand is not None
        for field in rate_headers(measure, stand)
    )


def rate_headers(measure: str, stand: Stand) -> tuple[Field, Field, Field]:
    """How the tightest limit on requests, or on tokens, stands."""
    total, remaining, reset = stand
    limit, name, until = _FIELDS[measure]
    shown = _duration(_shown(reset)).encode()
    return (limit, b"%d" % total), (name, b"%d" % remaining), (until, shown)


def _level_headers(level: Level) -> Iterable[Field]:
    rule, remaining, reset = level
    return (
        rate_headers(rule.measure, (rule.limit, remaining, reset))
        if rule.measure in _FIELDS
        else ()
    )


def budget_header(left: int) -> Field:
    """What is left of the tightest hard budget, in USD."""
    return b"x-llm-proxy-budget-remaining", usd(left).encode()


def usd(nano: int) -> str:
    """Nano-USD as dollars, to the last digit: `0.000000001`, `12.5`."""
    whole, rest = divmod(max(0, nano), _NANO)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


@lru_cache(maxsize=4096)
def _lines(requests: int, requests_reset: float, tokens: int, tokens_reset: float) -> bytes:
    """What thousands of answers share: all but what remains of requests and of tokens. Resets are
    whole seconds."""
    text = b""
    for measure, limit, reset in (
        ("requests", requests, requests_reset),
        ("tokens", tokens, tokens_reset),
    ):
        names = _FIELDS[measure]
        until = duration(reset).encode()
        text += b"%b: %d\r\n%b: %%d\r\n%b: %b\r\n" % (names[0], limit, *names[1:], until)
    return text


def duration(seconds: float) -> str:
    """As OpenAI writes it: `250ms`, `1s`, `1m30s`, `2h0m5s`."""
    return _duration(_shown(seconds))


def _shown(seconds: float) -> int:
    """What is told of it, in milliseconds: whole seconds but of what is shorter."""
    return 1000 * ceil(seconds) if seconds >= 1 else ceil(1000 * seconds)


def _duration(milliseconds: int) -> str:
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    whole = milliseconds // 1000
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
