"""How rules stand, and which of them says no: made when somebody asks, off the fast path."""

import math
from typing import assert_never

from proxy.core.quota import (
    CONCURRENCY_RETRY,
    Demand,
    Denial,
    Level,
    QuotaExceeded,
    QuotaUnknown,
    Rule,
)
from proxy.stores.memory.accounts import UNKNOWN
from proxy.stores.memory.bound import Bound, Counted
from proxy.stores.memory.budgets import Budget
from proxy.stores.memory.windows import Slots, Window


def refusal(bound: Bound, demand: Demand, now: float, at: float) -> QuotaExceeded | QuotaUnknown:
    """Why a demand that does not fit is refused, when nothing of it is taken and all windows are
    at the present. `now` and `at` are the moment, on both clocks."""
    denials = []
    for rule, counted, _, _ in bound.entries:
        if not rule.hard:
            continue
        if isinstance(counted, Budget) and counted.purse(at).used >= UNKNOWN:
            return QuotaUnknown(f"what was spent of {rule.key} is not known yet")
        wait = _wait(rule, counted, demand, now, at)
        if wait > 0:
            denials.append((wait, rule, counted))
    wait, rule, counted = max(denials, key=lambda denial: denial[0])
    retry_after = None if wait == math.inf else wait
    return QuotaExceeded(Denial(_level(rule, counted, now, at), retry_after))


def _wait(rule: Rule, counted: Counted, demand: Demand, now: float, at: float) -> float:
    """Seconds until a rule would grant it; 0 when it does, infinite when it never will."""
    match counted:
        case Window():
            amount = demand.tokens if rule.measure == "tokens" else 1
            over = counted.total + amount - rule.limit
            if not amount or over <= 0:
                return 0.0
            return math.inf if amount > rule.limit else _some(counted.until_free(over, now))
        case Slots():
            if counted.used < rule.limit:
                return 0.0
            return CONCURRENCY_RETRY if rule.limit else math.inf
        case Budget():
            purse = counted.purse(at)
            least = min(demand.least, demand.money)
            if max(0, counted.allowance() - purse.used) >= least:
                return 0.0
            return math.inf if rule.limit < least else _some(purse.end - at)
        case never:
            assert_never(never)


def _some(wait: float) -> float:
    """Rounding must not turn a refusal into none."""
    return max(wait, 1e-6)


def _level(rule: Rule, counted: Counted, now: float, at: float) -> Level:
    match counted:
        case Window():
            return level(rule, rule.limit, counted.total, counted.until_empty(now))
        case Slots():
            return level(rule, rule.limit, counted.used, CONCURRENCY_RETRY)
        case Budget():
            purse = counted.purse(at)
            return level(rule, counted.allowance(), purse.used, purse.end - at)
        case never:
            assert_never(never)


def level(rule: Rule, limit: int, used: int, reset: float) -> Level:
    """A rule of which so much is taken."""
    return Level(rule, max(0, limit - used), reset if used else 0.0)
