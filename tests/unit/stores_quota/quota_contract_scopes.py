"""What every store must keep of names: whatever they are, no two rules share a count."""

from proxy.core.quota import Rule, Scope, standing_of
from tests.unit.stores_quota.quota_driven import (
    DAILY,
    MINUTE,
    MakeStore,
    demand,
    money,
    requests,
    slots,
    tokens,
)

ODD = (
    Scope("key", "a"),
    Scope("user", "a"),
    Scope("key_model", "a/m"),
    Scope("key_model", "a/n"),
    Scope("key_model", "a/m:rpm"),
    Scope("key", "a:rpm"),
    Scope("key", "a/m"),
    Scope("tag", "{key:a}"),
    Scope("tag", "a b"),
    Scope("tag", "a%20b"),
    Scope("customer", "Zoë 🦊 \\\"'"),
    Scope("customer", "x" * 128),
    Scope("customer", "x" * 127),
    Scope("global", ""),
)


def minute(scope: Scope) -> Rule:
    return Rule(scope, "rpm", "requests", 9, MINUTE)


def daily(scope: Scope) -> Rule:
    return Rule(scope, "budget per day", "money", 1000, DAILY)


class ScopesContract:
    """Names of scopes."""

    async def test_no_two_scopes_share_a_count(self, make_store: MakeStore) -> None:
        driven = await make_store()
        for times, scope in enumerate(ODD, 1):
            quota = driven.store.bind((minute(scope), daily(scope)))
            for _ in range(times % 7):
                await quota.take(demand(money=times))
        for times, scope in enumerate(ODD, 1):
            grant = await driven.store.bind((minute(scope), daily(scope))).take(demand())
            taken = times % 7
            assert [level.remaining for level in grant.levels()] == [
                8 - taken,
                1000 - taken * times,
            ]

    async def test_scopes_of_a_key_are_told_apart_in_one_quota(self, make_store: MakeStore) -> None:
        driven = await make_store()
        quota = driven.store.bind(tuple(minute(scope) for scope in ODD))
        grant = await quota.take(demand())
        assert [level.remaining for level in grant.levels()] == [8] * len(ODD)

    async def test_how_the_tightest_stand(self, make_store: MakeStore) -> None:
        driven = await make_store()
        rules = (
            requests(100), Rule(Scope("team", "t"), "rpm", "requests", 10, MINUTE), tokens(1000),
            money(500), money(400, scope=Scope("team", "t")), slots(3),
            Rule(Scope("team", "t"), "tpm", "tokens", 30, MINUTE),
            Rule(Scope("team", "t"), "soft", "money", 50, DAILY, hard=False),
        )  # fmt: skip
        grant = await driven.store.bind(rules).take(demand(tokens=20, money=40))
        standing = grant.standing()
        assert standing == standing_of(grant.levels())
        tightest_requests, tightest_tokens, least_money = standing
        assert tightest_requests is not None and tightest_requests[:2] == (10, 9)
        assert tightest_tokens is not None and tightest_tokens[:2] == (30, 10)
        assert least_money == 360
        none = await driven.store.bind((slots(9),)).take(demand())
        assert none.standing() == (None, None, None)

    async def test_how_the_tightest_of_one_kind_stand(self, make_store: MakeStore) -> None:
        """Quotas of rates alone, or of budgets alone, are what nearly all requests meet."""
        team = Scope("team", "t")
        driven = await make_store()
        rates = (
            requests(1000), tokens(10**4), Rule(team, "rpm", "requests", 999, MINUTE),
            Rule(team, "tpm", "tokens", 9000, MINUTE),
            Rule(team, "none", "tokens", 0, MINUTE, hard=False),
        )  # fmt: skip
        soft = Rule(team, "soft", "money", 9, DAILY, hard=False)
        budgets = money(5000), money(4000, scope=team), soft
        for quota in (rates, rates[:1], rates[1:2], rates[:4], budgets, budgets[:1], budgets[2:]):
            bound = driven.store.bind(quota)
            for number in range(3):
                grant = await bound.take(demand(tokens=7 * number, money=20))
                assert grant.standing() == standing_of(grant.levels())
                grant.settle(number, 30)
            grant = await bound.take(demand(tokens=1, money=1))
            grant.cancel()
            grant.settle(50, 50)
            again = await bound.take(demand(tokens=1, money=1))
            assert again.standing() == standing_of(again.levels())
            assert [each.remaining for each in again.levels()] == [
                each.remaining for each in grant.levels()
            ]
