"""What every store must keep of limits: requests and tokens in sliding windows, and slots."""

import asyncio

import pytest

from proxy.core.quota import CONCURRENCY_RETRY, Scope
from tests.unit.stores_quota.quota_driven import (
    DAY,
    MakeStore,
    demand,
    left,
    refused,
    requests,
    rule,
    slots,
    tokens,
    took,
)


class LimitsContract:
    """Sliding windows and concurrency."""

    async def test_so_many_and_not_one_more(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((requests(1000),))
        takes = (took(driven, quota) for _ in range(1100))
        grants = await asyncio.gather(*takes)
        assert sum(grant is not None for grant in grants) == 1000

    async def test_a_window_begins_anywhere(self, make_store: MakeStore) -> None:
        """A bucket of tokens, or a window that begins with the minute, gives 20 here."""
        driven = await make_store()
        quota = driven.store.bind((requests(10),))
        driven.forward(59)
        assert [bool(await took(driven, quota)) for _ in range(11)] == [True] * 10 + [False]
        driven.forward(2)
        assert await took(driven, quota) is None
        driven.forward(57.875)
        assert await took(driven, quota) is None
        driven.forward(1.25)
        assert [bool(await took(driven, quota)) for _ in range(11)] == [True] * 10 + [False]

    async def test_retry_after_is_exact(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((requests(3),))
        for _ in range(3):
            await quota.take(demand())
            driven.forward(10)
        denial = await refused(quota)
        assert denial.retry_after is not None
        assert 30 <= denial.retry_after <= 31 + driven.precision
        driven.forward(denial.retry_after - 0.125 - driven.precision)
        await refused(quota)
        driven.forward(0.125 + 2 * driven.precision)
        await quota.take(demand())
        await refused(quota)

    async def test_retry_after_waits_for_as_much_as_is_asked(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((tokens(100),))
        for _ in range(4):
            await quota.take(demand(tokens=25))
            driven.forward(10)
        waits = [(await refused(quota, demand(tokens=n))).retry_after for n in (1, 25, 26, 75, 100)]
        assert waits[0] == waits[1]
        assert waits[0] is not None
        assert 20 <= waits[0] <= 21 + driven.precision
        later = [pytest.approx(waits[0] + n, abs=2 * driven.precision) for n in (10, 20, 30)]
        assert waits[2:] == later

    async def test_a_day_is_a_window_too(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((requests(1, DAY),))
        await quota.take(demand())
        driven.forward(86_399)
        denial = await refused(quota)
        assert denial.retry_after is not None
        assert 1 <= denial.retry_after <= 1441 + driven.precision
        driven.forward(denial.retry_after + driven.precision)
        await quota.take(demand())

    async def test_what_can_never_be_granted_says_so(self, make_store: MakeStore) -> None:
        driven = await make_store()
        assert (await refused(driven.store.bind((requests(0),)))).retry_after is None
        assert (await refused(driven.store.bind((slots(0),)))).retry_after is None
        quota = driven.store.bind((tokens(100),))
        assert (await refused(quota, demand(tokens=101))).retry_after is None
        await quota.take(demand(tokens=100))
        assert (await refused(quota, demand(tokens=101))).retry_after is None

    async def test_settling_moves_what_was_taken(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((tokens(100),))
        grant = await quota.take(demand(tokens=100))
        assert await took(driven, quota, demand(tokens=1)) is None
        driven.forward(30)
        grant.settle(40, 0)
        assert await left(driven, tokens(100)) == 60
        await quota.take(demand(tokens=60))
        # What was settled counts from when it was taken, not from when it was settled.
        driven.forward(31)
        assert await left(driven, tokens(100)) == 40

    async def test_settling_between_later_takes(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((tokens(100),))
        first, second = [await quota.take(demand(tokens=25)) for _ in range(2)]
        driven.forward(30)
        await quota.take(demand(tokens=10))
        first.settle(0, 0)
        second.settle(60, 0)
        assert await left(driven, tokens(100)) == 30
        driven.forward(31)
        assert await left(driven, tokens(100)) == 90
        driven.forward(30)
        assert await left(driven, tokens(100)) == 100

    async def test_more_than_was_held_counts(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((tokens(100),))
        (await quota.take(demand(tokens=10))).settle(250, 0)
        assert await left(driven, tokens(100)) == 0
        await driven.flush()
        denial = await refused(quota, demand(tokens=1))
        assert denial.level.remaining == 0
        assert denial.retry_after is not None
        driven.forward(denial.retry_after + driven.precision)
        assert await left(driven, tokens(100)) == 100

    async def test_what_counts_no_more_is_not_settled(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((requests(10), tokens(100)))
        first, second = [await quota.take(demand(tokens=10)) for _ in range(2)]
        driven.forward(62)
        await quota.take(demand(tokens=30))
        first.settle(100, 0)
        second.cancel()
        assert await left(driven, tokens(100)) == 70
        assert await left(driven, requests(10)) == 9

    async def test_settling_after_the_window_went_round(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((tokens(100),))
        grant = await quota.take(demand(tokens=10))
        driven.forward(61 * 4)
        await quota.take(demand(tokens=30))
        grant.settle(0, 0)
        assert await left(driven, tokens(100)) == 70

    async def test_cancelling_gives_everything_back(self, make_store: MakeStore) -> None:
        driven = await make_store()
        walls = (requests(1), tokens(10), slots(1))
        quota = driven.store.bind(walls)
        for _ in range(5):
            await driven.flush()
            (await quota.take(demand(tokens=10))).cancel()
        assert [await left(driven, wall) for wall in walls] == [1, 10, 1]

    async def test_a_settled_request_stays_counted(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((requests(2),))
        (await quota.take(demand())).settle(0, 0)
        assert await left(driven, requests(2)) == 1

    async def test_slots_come_back(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((slots(2),))
        first, second = [await quota.take(demand()) for _ in range(2)]
        denial = await refused(quota)
        assert denial.retry_after == CONCURRENCY_RETRY
        first.settle(0, 0)
        second.cancel()
        await driven.flush()
        third, _ = [await quota.take(demand()) for _ in range(2)]
        await refused(quota)
        third.settle(0, 0)
        third.settle(0, 0)
        assert await left(driven, slots(2)) == 1

    async def test_soft_limits_count_and_refuse_nobody(self, make_store: MakeStore) -> None:
        driven = await make_store()
        walls = (requests(1, hard=False), tokens(1, hard=False), slots(1, hard=False))
        quota = driven.store.bind(walls)
        grants = [await quota.take(demand(tokens=5)) for _ in range(3)]
        assert [level.remaining for level in grants[-1].levels()] == [0, 0, 0]
        # The same counts under hard rules: they are full.
        hard = driven.store.bind((requests(3), tokens(100), slots(100)))
        assert (await refused(hard)).level.rule.measure == "requests"
        assert await left(driven, tokens(100)) == 85
        assert await left(driven, slots(100)) == 97

    async def test_nothing_asked_is_never_refused(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((tokens(10),))
        (await quota.take(demand(tokens=5))).settle(50, 0)
        await driven.flush()
        await quota.take(demand())
        await driven.store.bind((tokens(0, DAY),)).take(demand())
        # Nor is it blamed where something else says no.
        await driven.store.bind((slots(1),)).take(demand())
        denial = await refused(driven.store.bind((tokens(10), slots(1))))
        assert denial.level.rule == slots(1)
        await driven.store.bind(()).take(demand(tokens=5, money=5))

    async def test_scopes_count_apart(self, make_store: MakeStore) -> None:
        driven = await make_store()
        names = [Scope("key", "a"), Scope("key", "b"), Scope("team", "a"), Scope("global", "")]
        for scope in names:
            quota = driven.store.bind((rule("requests", 1, requests(1).window, scope=scope),))
            await quota.take(demand())
            await refused(quota)

    async def test_a_changed_limit_keeps_the_count(self, make_store: MakeStore) -> None:
        driven = await make_store()
        await driven.store.bind((requests(5),)).take(demand())
        await refused(driven.store.bind((requests(1),)))
        assert await left(driven, requests(5)) == 4

    async def test_a_clock_put_back_gives_nothing(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((requests(2),))
        for back in (3600, 90, 61, 30, 1):
            driven.forward(61)
            await took(driven, quota)
            await took(driven, quota)
            driven.back(back)
            assert await took(driven, quota) is None
            driven.forward(back)
            assert await took(driven, quota) is None
            driven.forward(61)

    async def test_levels_and_resets(self, make_store: MakeStore) -> None:
        driven = await make_store()
        walls = (requests(5), tokens(100), slots(3))
        quota = driven.store.bind(walls)
        first = (await quota.take(demand())).levels()
        assert [level.rule for level in first] == list(walls)
        assert [level.remaining for level in first] == [4, 100, 2]
        assert 60 <= first[0].reset <= 61 + driven.precision
        assert first[1].reset == 0
        driven.forward(20)
        grant = await quota.take(demand(tokens=30))
        driven.forward(20)
        third = await quota.take(demand())
        assert [level.remaining for level in third.levels()] == [2, 70, 0]
        assert 40 <= third.levels()[1].reset <= 41 + driven.precision
        # As they stood then, whatever came after.
        await driven.store.bind((requests(5),)).take(demand())
        third.cancel()
        assert [level.remaining for level in grant.levels()] == [3, 70, 1]
        assert 60 <= grant.levels()[1].reset <= 61 + driven.precision

    async def test_all_counts_no_more_after_the_reset(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((requests(5),))
        await quota.take(demand())
        driven.forward(30.5)
        level = (await quota.take(demand())).levels()[0]
        driven.forward(level.reset - 0.125 - driven.precision)
        assert await left(driven, requests(5)) == 4
        driven.forward(0.125 + 2 * driven.precision)
        assert await left(driven, requests(5)) == 5
