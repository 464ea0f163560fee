"""What every store must keep of decisions: all or nothing, one end, who said no."""

import asyncio
from collections.abc import Callable

import pytest

from proxy.core.quota import Calendar, Grant, Scope
from tests.unit.stores_quota.quota_driven import (
    DAILY,
    DAY,
    MakeStore,
    demand,
    left,
    money,
    refused,
    requests,
    rule,
    slots,
    tokens,
    took,
)

WALLS = (requests(10), tokens(100), slots(5), money(1000), money(2000, Calendar("week")))
FULL = [10, 100, 5, 1000, 2000]
SETTLED = [9, 93, 5, 980, 1980]

End = Callable[[Grant], None]


def settle(grant: Grant) -> None:
    grant.settle(7, 20)


def cancel(grant: Grant) -> None:
    grant.cancel()


def settle_otherwise(grant: Grant) -> None:
    grant.settle(90, 900)


class GrantsContract:
    """One decision over several rules."""

    async def test_all_or_nothing(self, make_store: MakeStore) -> None:
        for full in range(len(WALLS)):
            driven = await make_store()
            tight = [
                wall if i != full else rule(wall.measure, 0, wall.window)
                for i, wall in enumerate(WALLS)
            ]
            quota = driven.store.bind(tuple(tight))
            denial = await refused(quota, demand(tokens=10, money=100))
            assert denial.level.rule == tight[full]
            assert [await left(driven, wall) for wall in WALLS] == FULL

    async def test_takes_at_the_same_time_share(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((tokens(100), money(1000), money(350, scope=Scope("global", ""))))
        asked = (took(driven, quota, demand(tokens=3, money=100)) for _ in range(50))
        grants = [grant for grant in await asyncio.gather(*asked) if grant is not None]
        assert sorted(grant.money for grant in grants) == [100, 100, 100]
        assert await left(driven, tokens(100)) == 91

    async def test_the_rule_that_opens_last_is_named(self, make_store: MakeStore) -> None:
        driven = await make_store()
        walls = (requests(1), requests(1, DAY), slots(1))
        await driven.store.bind(walls).take(demand())
        for order in (walls, walls[::-1], walls[1:] + walls[:1]):
            denial = await refused(driven.store.bind(order))
            assert denial.level.rule == walls[1]
            assert denial.retry_after is not None
            assert 86_400 <= denial.retry_after <= 86_400 + 1440 + driven.precision

    async def test_never_opens_after_everything_else(self, make_store: MakeStore) -> None:
        driven = await make_store()
        walls = (money(10), money(10, Calendar("total")), money(10, Calendar("month")))
        await driven.store.bind(walls).take(demand(money=10))
        for order in (walls, walls[::-1], walls[1:] + walls[:1]):
            denial = await refused(driven.store.bind(order), demand(money=1))
            assert (denial.level.rule, denial.retry_after) == (walls[1], None)

    async def test_of_equals_the_first_is_named(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(10), money(10, scope=Scope("team", "b")), requests(5)))
        await quota.take(demand(money=10))
        assert (await refused(quota, demand(money=1))).level.rule == money(10)

    async def test_the_denied_level_is_told(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((tokens(100), money(1000)))
        await quota.take(demand(tokens=70, money=400))
        by_tokens = (await refused(quota, demand(tokens=50))).level
        assert (by_tokens.rule, by_tokens.remaining) == (tokens(100), 30)
        assert 60 <= by_tokens.reset <= 61 + driven.precision
        by_money = (await refused(quota, demand(money=601))).level
        assert (by_money.rule, by_money.remaining) == (money(1000), 600)
        assert abs(by_money.reset - 12 * 3600) <= driven.precision

    @pytest.mark.parametrize("first", [settle, cancel])
    @pytest.mark.parametrize("second", [settle, settle_otherwise, cancel])
    async def test_a_grant_ends_once(self, make_store: MakeStore, first: End, second: End) -> None:
        driven = await make_store()
        quota = driven.store.bind(WALLS)
        grant = await quota.take(demand(tokens=50, money=500))
        first(grant)
        second(grant)
        expected = SETTLED if first is settle else FULL
        assert [await left(driven, wall) for wall in WALLS] == expected
        second(grant)
        assert [await left(driven, wall) for wall in WALLS] == expected

    async def test_a_quota_is_shared_and_rules_are_counted_once(
        self, make_store: MakeStore
    ) -> None:
        driven = await make_store()
        one, other = (driven.store.bind((requests(3), money(100))) for _ in range(2))
        assert one.rules == other.rules == (requests(3), money(100))
        await one.take(demand(money=10))
        await other.take(demand(money=20))
        grant = await one.take(demand(money=30))
        assert [level.remaining for level in grant.levels()] == [0, 40]
        await refused(other)

    async def test_a_count_cannot_be_in_a_quota_twice(self, make_store: MakeStore) -> None:
        driven = await make_store()
        with pytest.raises(ValueError, match="twice"):
            driven.store.bind((requests(3), requests(5)))

    async def test_an_empty_quota_grants_everything(self, make_store: MakeStore) -> None:
        driven = await make_store()
        grant = await driven.store.bind(()).take(demand(tokens=10**9, money=10**9))
        assert (grant.money, grant.levels()) == (10**9, ())
        assert await grant.grow(5) == 5
        grant.settle(1, 1)
        assert await grant.grow(5) == 0

    async def test_quotas_without_money_hold_what_is_asked(self, make_store: MakeStore) -> None:
        driven = await make_store()
        grant = await driven.store.bind((requests(5),)).take(demand(money=77))
        assert grant.money == 77

    async def test_nothing_is_wrong(self, make_store: MakeStore) -> None:
        driven = await make_store()
        await driven.store.bind((money(10, DAILY),)).take(demand(money=1))
        assert driven.store.failing() is None
