"""Counts of one of several workers that share no Redis.

The configuration may not have limits or budgets then, but the store may: they were made while there
was one worker, or by another host. A limit is kept all the same, for each worker has its part. A
hard budget is refused at the moment a request meets it: each worker would have to know what the
others spend. So no wall is passed; who asks, the log and `/readyz` are told what to change. A soft
budget refuses nobody.
"""

import logging
from collections.abc import Callable

from proxy.base import clock
from proxy.base.errors import HeaderPairs, OperatorError
from proxy.core.quota import Quota, Rule, Scope
from proxy.stores.memory.store import MemoryQuotas

log = logging.getLogger("llm-proxy.limits")

_TOLD_FOR = 60.0
"""Seconds for which the last refusal is told as the state: it may have been the last one."""
_MOST_SCOPES = 1000
_MEND = "set `redis`, or `workers: 1`, and restart"
_NO_RETRY: HeaderPairs = ((b"x-should-retry", b"false"),)


class UnsharedQuotas:
    """The QuotaStore of such a worker."""

    __slots__ = ("_logged", "_monotonic", "_own", "_refused")

    def __init__(self, own: MemoryQuotas, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._own = own
        self._monotonic = monotonic
        self._refused: tuple[float, str] | None = None
        self._logged: set[Scope] = set()

    def bind(self, rules: tuple[Rule, ...]) -> Quota:
        """See QuotaStore. Raises OperatorError where a hard budget is among them."""
        for rule in rules:
            if rule.hard and rule.measure == "money":
                raise self._uncountable(rule.scope)
        return self._own.bind(rules)

    def correct(self, id: str, money: int) -> None:
        """See QuotaStore."""
        self._own.correct(id, money)

    def failing(self) -> str | None:
        """Which budget was refused a moment ago, or what its own counts want."""
        if self._refused is not None and self._monotonic() - self._refused[0] < _TOLD_FOR:
            return self._refused[1]
        return self._own.failing()

    async def run(self) -> None:
        """See QuotaStore."""
        await self._own.run()

    async def close(self) -> None:
        """See QuotaStore."""
        await self._own.close()

    def _uncountable(self, scope: Scope) -> OperatorError:
        words = (
            f"the budget of {scope} is kept in the store, and several workers without `redis` "
            f"cannot count it together: {_MEND}"
        )
        self._refused = (self._monotonic(), words)
        if scope not in self._logged and len(self._logged) < _MOST_SCOPES:
            self._logged.add(scope)
            log.error("requests are refused: %s", words)
        return OperatorError(words, code="redis_needed", headers=_NO_RETRY)
