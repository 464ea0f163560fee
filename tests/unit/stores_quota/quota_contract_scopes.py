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
