"""What a caller is told when no target is left: why, for each of them, and whether to come back.

- An open breaker closes again: 503 with the time when the first may be asked.
- Only what the operator switched off: 503, and trying again cannot help.
- Anything else lies in the request: 400 `no_target_meets_request`, with what to change.

The message is bounded, and silent about models that the caller may not use.
"""

from collections.abc import Sequence
from math import ceil

from proxy.base.errors import BadRequest, HeaderPairs, OperatorError, ProxyError
from proxy.routing.planner_checks import Dropped

_MOST_LISTED = 8
_LONGEST_NAME = 100
_LONGEST_REASON = 160
_LONGEST_PAUSE = 3600.0
_NO_RETRY: HeaderPairs = ((b"x-should-retry", b"false"),)
_OPERATORS = frozenset(("off", "access"))


def nothing_left(dropped: Sequence[Dropped], now: float) -> ProxyError:
    """The refusal of a request whose plan is empty."""
    reasons = _reasons(dropped)
    down = [each.target.health.opens() - now for each in dropped if each.cause == "breaker"]
    if down:
        pause = min(down)
        headers: HeaderPairs = ()
        if pause <= _LONGEST_PAUSE:
            headers = ((b"retry-after", b"%d" % max(1, ceil(pause))),)
        return OperatorError(f"nothing can answer this request now: {reasons}", headers=headers)
    if all(each.cause in _OPERATORS for each in dropped):
        return OperatorError(f"nothing can answer this request now: {reasons}", headers=_NO_RETRY)
    return BadRequest(
        f"no target can take this request as it is: {reasons}", code="no_target_meets_request"
    )


def _reasons(dropped: Sequence[Dropped]) -> str:
    told = [each for each in dropped if each.cause != "access"]
    lines = [f"`{_name(each)}`: {each.reason[:_LONGEST_REASON]}" for each in told[:_MOST_LISTED]]
    if len(told) > _MOST_LISTED:
        lines.append(f"and {len(told) - _MOST_LISTED} more")
    if len(told) < len(dropped):
        lines.append("other fallbacks are not for this key")
    return "; ".join(lines) or "it has no targets"


def _name(dropped: Dropped) -> str:
    target = dropped.target
    name = f"{target.provider.name}/{target.model}" if target.model else target.provider.name
    return name[:_LONGEST_NAME]
