"""Several workers without Redis, and limits and budgets that come from the store."""

import logging
from collections.abc import Sequence

import pytest

from proxy.base.errors import OperatorError
from proxy.build.gate import stores
from proxy.config.settings import Settings
from proxy.core.quota import Calendar, Demand, QuotaExceeded, Rule, Scope, Sliding, Spent, Wanted
from proxy.stores.memory.store import MemoryQuotas
from proxy.stores.memory.unshared import UnsharedQuotas

RED = Scope("team", "red")
BUDGET = Rule(RED, "budget per day", "money", 10**9, Calendar("day"))
SOFT = Rule(RED, "soft budget per day", "money", 10**9, Calendar("day"), hard=False)
RATE = Rule(RED, "rpm", "requests", 1, Sliding(60))


class Clock:
    """Moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Nothing:
    """Balances of whom nobody spent anything."""

    async def spent(self, wanted: tuple[Wanted, ...]) -> Sequence[Spent]:
        return [Spent(0)] * len(wanted)


def test_a_hard_budget_is_refused_with_what_to_change(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    quotas = UnsharedQuotas(MemoryQuotas(), clock)
    assert quotas.failing() is None
    told = ""
    for _ in range(3):
        with pytest.raises(OperatorError) as refused:
            quotas.bind((RATE, BUDGET))
        assert (refused.value.status, refused.value.code) == (503, "redis_needed")
        assert (b"x-should-retry", b"false") in refused.value.headers
        told = refused.value.message
    assert "team `red`" in told and "set `redis`, or `workers: 1`" in told
    assert quotas.failing() == told
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 1 and told in logged[0].getMessage()
    clock.now += 61
    assert quotas.failing() is None


async def test_limits_and_soft_budgets_are_counted() -> None:
    quotas = UnsharedQuotas(MemoryQuotas())
    quota = quotas.bind((RATE, SOFT))
    grant = await quota.take(Demand("req_1", money=5))
    with pytest.raises(QuotaExceeded):
        await quota.take(Demand("req_2"))
    grant.cancel()
    _ = await quota.take(Demand("req_3"))
    assert quotas.failing() is None
    await quotas.close()


@pytest.mark.parametrize(("workers", "refused"), [(1, False), (2, True)])
def test_it_is_so_for_several_workers_without_redis(workers: int, refused: bool) -> None:
    settings = Settings.model_validate({"workers": workers})
    counting = stores(settings, Nothing()).shared
    assert isinstance(counting, UnsharedQuotas) is refused
    shared = Settings.model_validate({"workers": 2, "redis": "redis://127.0.0.1:1"})
    assert not isinstance(stores(shared).shared, UnsharedQuotas)
