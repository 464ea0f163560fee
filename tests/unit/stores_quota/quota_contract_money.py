"""What every store must keep of budgets: money per window of the calendar."""

import math
from datetime import UTC, datetime

from proxy.core.quota import Calendar, Scope
from tests.unit.stores_quota.quota_driven import (
    DAILY,
    WEDNESDAY_NOON,
    MakeStore,
    demand,
    left,
    money,
    refused,
    took,
)

HOUR = 3600.0
TO_MIDNIGHT = 12 * HOUR
TEAM = Scope("team", "research")


class MoneyContract:
    """Budgets: hold, settle, grow, windows."""

    async def test_spent_and_held_and_asked_pass_no_limit(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100),))
        (await quota.take(demand(money=50))).settle(0, 30)
        await driven.flush()
        assert (await quota.take(demand(money=60))).money == 60
        await refused(quota, demand(money=11))
        assert (await quota.take(demand(money=10))).money == 10
        await refused(quota, demand(money=1))

    async def test_it_gives_what_every_budget_allows(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind(
            (money(100), money(70, scope=TEAM), money(5, Calendar("week"), hard=False))
        )
        assert (await quota.take(demand(money=1000, least=70))).money == 70
        denial = await refused(quota, demand(money=1000, least=1))
        assert denial.level.rule.scope == TEAM
        assert denial.level.remaining == 0
        assert await left(driven, money(100)) == 30
        assert await left(driven, money(100, Calendar("week"))) == 30

    async def test_one_demand_shuts_out_no_other(self, make_store: MakeStore) -> None:
        """Who can do with less gets a quarter of what is left, or what it cannot do without."""
        driven = await make_store()
        quota = driven.store.bind(
            (money(1000), money(400, scope=TEAM), money(4, Calendar("week"), hard=False))
        )
        given = [await quota.take(demand(money=1000, least=30)) for _ in range(5)]
        assert [grant.money for grant in given] == [100, 75, 56, 42, 31]
        assert (await quota.take(demand(money=20, least=5))).money == 20
        assert (await quota.take(demand(money=1000, least=60))).money == 60
        assert await left(driven, money(400, scope=TEAM)) == 16
        assert await left(driven, money(1000)) == 616

    async def test_a_part_of_what_was_carried_too(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100, Calendar("day", rollover=1.0)),))
        await quota.take(demand())
        driven.forward(24 * HOUR)
        assert (await quota.take(demand(money=1000, least=1))).money == 50

    async def test_less_than_the_least_is_refused(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100),))
        await refused(quota, demand(money=200, least=101))
        assert (await quota.take(demand(money=200, least=100))).money == 100

    async def test_a_least_above_the_most_is_the_most(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100),))
        assert (await quota.take(demand(money=90, least=95))).money == 90
        assert (await quota.take(demand(money=10, least=95))).money == 10
        denial = await refused(quota, demand(money=1, least=200))
        assert denial.retry_after is not None

    async def test_settled_and_cancelled(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100), money(100, scope=TEAM)))
        dear, cheap, gone = [await quota.take(demand(money=20)) for _ in range(3)]
        dear.settle(0, 35)
        cheap.settle(0, 5)
        gone.cancel()
        assert await left(driven, money(100)) == 60
        assert await left(driven, money(100, scope=TEAM)) == 60

    async def test_more_than_the_limit_was_spent(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100),))
        (await quota.take(demand(money=10))).settle(0, 300)
        assert await left(driven, money(100)) == 0
        await driven.flush()
        await refused(quota, demand(money=1))
        assert (await quota.take(demand(money=10, least=0))).money == 0
        assert (await quota.take(demand())).money == 0

    async def test_a_window_ends_by_itself(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100),))
        await quota.take(demand(money=100))
        denial = await refused(quota, demand(money=1))
        assert denial.retry_after is not None
        assert abs(denial.retry_after - TO_MIDNIGHT) <= driven.precision
        driven.forward(TO_MIDNIGHT - 0.125)
        await refused(quota, demand(money=1))
        driven.forward(0.125 + driven.precision)
        assert (await quota.take(demand(money=100))).money == 100

    async def test_windows_of_other_lengths(self, make_store: MakeStore) -> None:
        ends = {
            Calendar("week"): datetime(2026, 3, 9, tzinfo=UTC).timestamp(),
            Calendar("month"): datetime(2026, 4, 1, tzinfo=UTC).timestamp(),
            Calendar("day", "Asia/Tokyo"): datetime(2026, 3, 4, 15, tzinfo=UTC).timestamp(),
        }
        driven = await make_store()
        for calendar, end in ends.items():
            quota = driven.store.bind((money(100, calendar),))
            level = (await quota.take(demand(money=100))).levels()[0]
            assert abs(level.reset - (end - WEDNESDAY_NOON)) <= driven.precision
            denial = await refused(quota, demand(money=1))
            assert denial.retry_after is not None
            assert abs(denial.retry_after - (end - WEDNESDAY_NOON)) <= driven.precision

    async def test_total_never_ends(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100, Calendar("total")),))
        level = (await quota.take(demand(money=100))).levels()[0]
        assert level.reset == math.inf
        driven.forward(400 * 24 * HOUR)
        denial = await refused(quota, demand(money=1))
        assert (denial.retry_after, denial.level.remaining) == (None, 0)

    async def test_what_no_window_can_pay_is_never_granted(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100),))
        assert (await refused(quota, demand(money=101))).retry_after is None
        await quota.take(demand(money=100))
        assert (await refused(quota, demand(money=101))).retry_after is None
        assert (await refused(quota, demand(money=200, least=100))).retry_after is not None

    async def test_a_hold_belongs_to_its_window(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100),))
        late, never = [await quota.take(demand(money=50)) for _ in range(2)]
        driven.forward(TO_MIDNIGHT)
        assert await left(driven, money(100)) == 100
        await quota.take(demand(money=30))
        late.settle(0, 80)
        never.cancel()
        assert await left(driven, money(100)) == 70

    async def test_a_hold_grows(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind(
            (money(100), money(80, scope=TEAM), money(1, Calendar("week"), hard=False))
        )
        grant = await quota.take(demand(money=50))
        assert await grant.grow(20) == 20
        assert grant.money == 70
        assert await grant.grow(0) == 0
        assert await grant.grow(20) == 10
        assert await grant.grow(20) == 0
        assert grant.money == 80
        assert await left(driven, money(100)) == 20
        grant.settle(0, 75)
        assert await left(driven, money(100)) == 25
        assert await left(driven, money(100, Calendar("week"))) == 25
        assert await grant.grow(5) == 0
        assert await left(driven, money(100)) == 25

    async def test_what_grew_is_given_back(self, make_store: MakeStore) -> None:
        driven = await make_store()
        grant = await driven.store.bind((money(100),)).take(demand(money=50))
        assert await grant.grow(30) == 30
        grant.cancel()
        assert await left(driven, money(100)) == 100
        assert await grant.grow(30) == 0

    async def test_it_grows_in_its_own_window(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100),))
        grant = await quota.take(demand(money=50))
        await quota.take(demand(money=20))
        driven.forward(TO_MIDNIGHT)
        assert await grant.grow(1000) == 30
        assert await left(driven, money(100)) == 100

    async def test_soft_budgets_count_and_refuse_nobody(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100, hard=False),))
        grant = await quota.take(demand(money=90))
        assert grant.levels()[0].remaining == 10
        grant = await quota.take(demand(money=90))
        assert grant.money == 90
        assert grant.levels()[0].remaining == 0
        assert await grant.grow(1000) == 1000
        grant.settle(0, 20)
        assert await left(driven, money(200)) == 90

    async def test_a_clock_put_back_gives_nothing(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100),))
        driven.forward(TO_MIDNIGHT + 1)
        await quota.take(demand(money=100))
        driven.back(2)
        assert await took(driven, quota, demand(money=1)) is None
        driven.back(30 * 24 * HOUR)
        assert await took(driven, quota, demand(money=1)) is None

    async def test_levels_of_money(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100), money(50, scope=TEAM)))
        none = await quota.take(demand())
        assert [level.remaining for level in none.levels()] == [100, 50]
        assert [level.reset for level in none.levels()] == [0, 0]
        grant = await quota.take(demand(money=10))
        later = await quota.take(demand(money=10))
        grant.settle(0, 0)
        assert [level.remaining for level in grant.levels()] == [90, 40]
        assert [level.remaining for level in later.levels()] == [80, 30]
        assert abs(later.levels()[0].reset - TO_MIDNIGHT) <= driven.precision

    async def test_great_sums_are_exact(self, make_store: MakeStore) -> None:
        driven = await make_store()
        great = 9_007_199_254_740_000  # Nano-USD: nine million dollars, near 2**53.
        quota = driven.store.bind((money(great, DAILY),))
        assert (await quota.take(demand(money=great - 1))).money == great - 1
        assert await left(driven, money(great)) == 1

    async def test_correcting_what_is_not_known_does_nothing(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100),))
        asked = demand(money=50)
        grant = await quota.take(asked)
        driven.store.correct("nobody", 10)
        grant.settle(0, 20)
        await driven.flush()
        driven.store.correct(asked.id, 90)
        assert await left(driven, money(100)) == 80


class RolloverContract:
    """What a window leaves unspent. A window in which the store did not know the rule leaves
    nothing; what is carried is spent oldest first, and once."""

    async def test_a_part_of_what_was_left_is_added(self, make_store: MakeStore) -> None:
        driven = await make_store()
        wall = money(100, Calendar("day", rollover=0.5))
        quota = driven.store.bind((wall,))
        assert await left(driven, wall) == 100
        (await quota.take(demand(money=60))).settle(0, 39)
        driven.forward(24 * HOUR)
        assert await left(driven, wall) == 130
        assert (await quota.take(demand(money=130))).money == 130
        await refused(quota, demand(money=1))

    async def test_it_expires(self, make_store: MakeStore) -> None:
        driven = await make_store()
        wall = money(100, Calendar("day", rollover=1.0, expires=2))
        quota = driven.store.bind((wall,))
        seen = []
        for spent in (40, 100, 100, 100):
            seen.append(await left(driven, wall))
            await quota.take(demand(money=spent))
            driven.forward(24 * HOUR)
        assert seen == [100, 160, 160, 100]

    async def test_idle_windows_leave_all(self, make_store: MakeStore) -> None:
        driven = await make_store()
        wall = money(100, Calendar("day", rollover=1.0, expires=2))
        await driven.store.bind((wall,)).take(demand(money=100))
        seen = []
        for _ in range(3):
            driven.forward(24 * HOUR)
            seen.append(await left(driven, wall))
        assert seen == [100, 200, 300]

    async def test_what_was_carried_is_spent_once(self, make_store: MakeStore) -> None:
        driven = await make_store()
        wall = money(100, Calendar("day", rollover=1.0, expires=3))
        quota = driven.store.bind((wall,))
        seen = []
        for spent in (20, 130, 140, 110, 100, 0):
            seen.append(await left(driven, wall))
            await quota.take(demand(money=spent))
            driven.forward(24 * HOUR)
        assert seen == [100, 180, 150, 110, 100, 100]

    async def test_holds_are_not_left(self, make_store: MakeStore) -> None:
        driven = await make_store()
        wall = money(100, Calendar("day", rollover=1.0))
        grant = await driven.store.bind((wall,)).take(demand(money=70))
        driven.forward(24 * HOUR)
        assert await left(driven, wall) == 130
        grant.settle(0, 50)
        assert await left(driven, wall) == 150

    async def test_a_window_whose_rest_went_on_has_nothing_left(
        self, make_store: MakeStore
    ) -> None:
        driven = await make_store()
        wall = money(100, Calendar("day", rollover=0.5))
        grant = await driven.store.bind((wall,)).take(demand(money=70))
        driven.forward(24 * HOUR)
        assert await grant.grow(10) == 0
        assert await left(driven, wall) == 115

    async def test_a_hold_grows_into_what_was_carried(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100, Calendar("day", rollover=0.5)),))
        await quota.take(demand(money=60))
        driven.forward(24 * HOUR)
        grant = await quota.take(demand(money=90))
        assert await grant.grow(100) == 30

    async def test_total_has_nothing_before_it(self, make_store: MakeStore) -> None:
        driven = await make_store()
        wall = money(100, Calendar("total", rollover=0.5))
        await driven.store.bind((wall,)).take(demand(money=60))
        driven.forward(400 * 24 * HOUR)
        assert await left(driven, wall) == 40

    async def test_levels_know_what_was_carried(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind((money(100, Calendar("day", rollover=0.5)),))
        await quota.take(demand(tokens=5, money=60))
        driven.forward(24 * HOUR)
        grant = await quota.take(demand(tokens=5, money=30))
        later = await quota.take(demand(tokens=5, money=30))
        assert grant.levels()[0].remaining == 90
        assert later.levels()[0].remaining == 60
        denial = await refused(quota, demand(tokens=5, money=61))
        assert denial.level.remaining == 60

    async def test_it_is_rounded_down(self, make_store: MakeStore) -> None:
        driven = await make_store()
        wall = money(10, Calendar("day", rollover=0.25))
        await driven.store.bind((wall,)).take(demand(money=3))
        driven.forward(24 * HOUR)
        assert await left(driven, wall) == 11

    async def test_spending_too_much_leaves_nothing(self, make_store: MakeStore) -> None:
        driven = await make_store()
        wall = money(100, Calendar("day", rollover=1.0))
        (await driven.store.bind((wall,)).take(demand(money=10))).settle(0, 500)
        await driven.flush()
        driven.forward(24 * HOUR)
        assert await left(driven, wall) == 100
