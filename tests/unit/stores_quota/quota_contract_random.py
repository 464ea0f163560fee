"""Random lives of a store, against a model that keeps a log of events and knows no buckets.

Limits: whatever is granted, no window that ends now has more than the limit; whatever is refused
would have been too much with a sixtieth of the window more. Money: to the nano-USD.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.core.quota import Calendar, Demand, Grant, QuotaExceeded, Rule, Scope, Sliding
from tests.examples import examples
from tests.unit.stores_quota.quota_driven import (
    WEDNESDAY_NOON,
    Driven,
    MakeStore,
    demand,
    left,
    money,
    requests,
    slots,
    tokens,
)

QUICK = settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)

FIVE_MINUTES = Sliding(300)
LIMITS = (requests(4), tokens(50), requests(9, FIVE_MINUTES), tokens(160, FIVE_MINUTES), slots(3))
BUDGETS = (
    money(100),
    money(150, scope=Scope("team", "research")),
    money(400, Calendar("week")),
    money(1500, Calendar("total")),
    money(50, Calendar("month"), hard=False),
)


What = Literal["take", "settle", "cancel", "grow", "wait", "retry"]
HAPPENINGS: tuple[What, ...] = (*("take",) * 3, "settle", "cancel", "grow", "wait", "retry")


class Step(NamedTuple):
    """What happens next; `pick` says to which of the open grants."""

    what: What
    pick: int
    amount: int
    other: int


amounts = st.integers(0, 70)
lives = st.lists(
    st.builds(
        Step,
        st.sampled_from(HAPPENINGS),
        st.integers(0, 9),
        amounts,
        amounts,
    ),
    max_size=60,
)


@dataclass(slots=True)
class Taken:
    """One grant, as the log has it."""

    at: float
    tokens: int
    money: int
    grant: Grant
    requests: int = 1
    open: bool = True

    def amount(self, one: Rule) -> int:
        match one.measure:
            case "requests":
                return self.requests
            case "tokens":
                return self.tokens
            case "concurrency":
                return int(self.open)
            case "money":
                return self.money


class Log:
    """Every grant there was, and the clock."""

    def __init__(self, driven: Driven) -> None:
        self.driven = driven
        self.now = WEDNESDAY_NOON
        self.taken: list[Taken] = []

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.driven.forward(seconds)

    def end(self, step: Step) -> None:
        """Settle or cancel one of the open grants."""
        still = [each for each in self.taken if each.open]
        if not still:
            return
        one = still[step.pick % len(still)]
        one.open = False
        if step.what == "cancel":
            one.requests = one.tokens = one.money = 0
            one.grant.cancel()
        else:
            one.tokens, one.money = step.amount, step.other
            one.grant.settle(step.amount, step.other)

    def since(self, one: Rule, begin: float) -> int:
        return sum(each.amount(one) for each in self.taken if each.at > begin)


def asked_of(one: Rule, asked: Demand) -> int:
    return asked.tokens if one.measure == "tokens" else 1


class LimitsModel(Log):
    """What may and what must be granted by limits."""

    def used(self, one: Rule, slack: float) -> int:
        if not isinstance(one.window, Sliding):
            return self.since(one, -math.inf)
        return self.since(one, self.now - one.window.seconds * (1 + slack / 60))

    def granted(self, asked: Demand, grant: Grant) -> None:
        for one in LIMITS:
            amount = asked_of(one, asked)
            assert not amount or self.used(one, 0) + amount <= one.limit, one
        self.taken.append(Taken(self.now, asked.tokens, 0, grant))
        assert [level.rule for level in grant.levels()] == list(LIMITS)
        for level in grant.levels():
            assert level.remaining <= max(0, level.rule.limit - self.used(level.rule, 0))
            assert level.remaining >= level.rule.limit - self.used(level.rule, 1)

    def refused(self, asked: Demand, refusal: QuotaExceeded) -> None:
        closed = [one for one in LIMITS if self.used(one, 1) + asked_of(one, asked) > one.limit]
        assert refusal.denial.level.rule in closed


async def ask_limits(model: LimitsModel, step: Step) -> None:
    await model.driven.flush()
    asked = demand(tokens=step.amount)
    quota = model.driven.store.bind(LIMITS)
    try:
        grant = await quota.take(asked)
    except QuotaExceeded as refusal:
        model.refused(asked, refusal)
        wait = refusal.denial.retry_after
        if step.what != "retry" or refusal.denial.level.rule.measure == "concurrency":
            return
        if wait is None:
            assert asked.tokens > 50
            return
        model.wait(wait + model.driven.precision)
        if model.since(LIMITS[-1], -math.inf) < LIMITS[-1].limit:
            model.granted(asked, await quota.take(asked))
    else:
        model.granted(asked, grant)


class MoneyModel(Log):
    """What is granted by budgets. Windows are reckoned here by adding days."""

    def window(self, one: Rule, at: float) -> tuple[float, float]:
        assert isinstance(one.window, Calendar)
        midnight = datetime.fromtimestamp(at, UTC).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        if one.window.period == "total":
            return 0, math.inf
        if one.window.period == "day":
            first, last = midnight, midnight + timedelta(1)
        elif one.window.period == "week":
            first = midnight - timedelta(midnight.weekday())
            last = first + timedelta(7)
        else:
            first = midnight.replace(day=1)
            last = (first + timedelta(31)).replace(day=1)
        return first.timestamp(), last.timestamp()

    def left(self, one: Rule, at: float) -> int:
        first, last = self.window(one, at)
        used = sum(each.money for each in self.taken if first <= each.at < last)
        return max(0, one.limit - used)

    def most(self, asked: int, at: float) -> int:
        return min(asked, *(self.left(one, at) for one in BUDGETS if one.hard))

    def granted(self, asked: Demand, grant: Grant) -> None:
        given = self.most(asked.money, self.now)
        if asked.least < asked.money:
            quarter = min(self.left(one, self.now) // 4 for one in BUDGETS if one.hard)
            given = min(given, max(quarter, asked.least))
        assert grant.money == given >= asked.least
        self.taken.append(Taken(self.now, 0, grant.money, grant))
        for level in grant.levels():
            assert level.remaining == self.left(level.rule, self.now)

    def refused(self, asked: Demand, refusal: QuotaExceeded) -> None:
        closed = [one for one in BUDGETS if one.hard and self.left(one, self.now) < asked.least]
        waits = [
            math.inf if one.limit < asked.least else self.window(one, self.now)[1] - self.now
            for one in closed
        ]
        wait = refusal.denial.retry_after
        assert refusal.denial.level.rule == closed[waits.index(max(waits))]
        assert abs((math.inf if wait is None else wait) - max(waits)) <= self.driven.precision or (
            wait is None and max(waits) == math.inf
        )
        assert refusal.denial.level.remaining == self.left(refusal.denial.level.rule, self.now)

    async def grow(self, step: Step) -> None:
        await self.driven.flush()
        still = [each for each in self.taken if each.open]
        if still:
            one = still[step.pick % len(still)]
            more = self.most(step.amount, one.at)
            assert await one.grant.grow(step.amount) == more
            one.money += more
            assert one.grant.money == one.money


async def ask_money(model: MoneyModel, step: Step) -> None:
    await model.driven.flush()
    asked = demand(money=step.amount + step.other, least=step.other)
    quota = model.driven.store.bind(BUDGETS)
    try:
        grant = await quota.take(asked)
    except QuotaExceeded as refusal:
        model.refused(asked, refusal)
        wait = refusal.denial.retry_after
        if step.what == "retry" and wait is not None:
            model.wait(wait + model.driven.precision)
            model.granted(asked, await quota.take(asked))
    else:
        model.granted(asked, grant)


class RandomContract:
    """Limits and budgets against the log."""

    @QUICK
    @given(lives)
    async def test_limits_hold_whatever_happens(
        self, make_store: MakeStore, life: list[Step]
    ) -> None:
        model = LimitsModel(await make_store())
        for step in life:
            match step.what:
                case "take" | "retry":
                    await ask_limits(model, step)
                case "wait":
                    model.wait(step.amount / 2)
                case "settle" | "cancel":
                    model.end(step)
                case "grow":
                    pass  # Limits do not.
        for each in model.taken:
            each.grant.cancel()
        assert await left(model.driven, LIMITS[-1]) == LIMITS[-1].limit

    @QUICK
    @given(lives)
    async def test_money_is_exact_whatever_happens(
        self, make_store: MakeStore, life: list[Step]
    ) -> None:
        model = MoneyModel(await make_store())
        for step in life:
            match step.what:
                case "take" | "retry":
                    await ask_money(model, step)
                case "wait":
                    model.wait(step.amount * step.other * 64)
                case "grow":
                    await model.grow(step)
                case "settle" | "cancel":
                    model.end(step)
        for one in BUDGETS:
            assert await left(model.driven, one) == model.left(one, model.now)

    @QUICK
    @given(
        st.integers(1, 4),
        st.sampled_from((0.25, 0.5, 1.0)),
        st.lists(st.tuples(st.integers(0, 500), st.integers(0, 3)), max_size=20),
    )
    async def test_nothing_is_carried_over_twice(
        self, make_store: MakeStore, expires: int, share: float, days: list[tuple[int, int]]
    ) -> None:
        """In any run of windows no more than their limits and what the `expires` before left."""
        driven = await make_store()
        wall = money(100, Calendar("day", rollover=share, expires=expires))
        quota = driven.store.bind((wall,))
        spent: list[int] = []
        for asked, idle in days:
            spent += [0] * idle
            driven.forward(idle * 86_400)
            part = min(asked, await left(driven, wall))
            spent.append((await quota.take(demand(money=part))).money)
            driven.forward(86_400)
        first = days[0][1] if days else 0  # Before it was first asked for there was no rule.
        for begin in range(first, len(spent)):
            for end in range(begin + 1, len(spent) + 1):
                before = sum(100 - min(n, 100) for n in spent[max(first, begin - expires) : begin])
                assert sum(spent[begin:end]) <= 100 * (end - begin) + share * before
