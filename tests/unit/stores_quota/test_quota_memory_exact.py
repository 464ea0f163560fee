"""Many limits at once in memory refuse at the very number, however large, and tell the tightest."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.base.periods import Period
from proxy.core.quota import Calendar, Demand, Rule, Scope, Sliding, Stand, standing_of
from proxy.stores.memory.store import MemoryQuotas

MINUTE = Sliding(60)
LIMITS = st.one_of(st.integers(0, 12), st.integers(2**50, 2**64), st.just(10**18))
RULES = st.lists(
    st.tuples(st.sampled_from(("requests", "tokens")), LIMITS, st.booleans()),
    min_size=1,
    max_size=8,
)


BUDGETS = st.lists(
    st.tuples(LIMITS, st.booleans(), st.sampled_from(("day", "month", "total"))),
    min_size=1,
    max_size=6,
)
WEDNESDAY = 1_763_553_600.0


def rules_of(drawn: list[tuple[str, int, bool]]) -> tuple[Rule, ...]:
    return tuple(
        Rule(Scope("team", f"t{n}"), f"{what}", what, limit, MINUTE, hard)  # type: ignore[arg-type]
        for n, (what, limit, hard) in enumerate(drawn)
    )


def fits(rules: tuple[Rule, ...], taken: dict[str, int], tokens: int) -> bool:
    """What has to come of it: plain integers."""
    asked = {"requests": 1, "tokens": tokens}
    return all(
        taken[rule.measure] + asked[rule.measure] <= rule.limit
        for rule in rules
        if rule.hard and asked[rule.measure]
    )


@settings(max_examples=300, deadline=None)
@given(RULES, st.lists(st.tuples(st.integers(-2, 2), st.booleans()), max_size=12))
async def test_at_the_very_number(
    drawn: list[tuple[str, int, bool]], steps: list[tuple[int, bool]]
) -> None:
    rules = rules_of(drawn)
    store = MemoryQuotas(monotonic=lambda: 1000.0)
    quota = store.bind(rules)
    taken = {"requests": 0, "tokens": 0}
    smallest = min((r.limit for r in rules if r.measure == "tokens" and r.hard), default=7)
    for beside, keeps in steps:
        tokens = max(0, smallest - taken["tokens"] + beside)
        expected = fits(rules, taken, tokens)
        grant = quota.take_now(tokens, 0, 0)
        assert (grant is not None) is expected
        if grant is None:
            continue
        expected_parts = [_part_left(stand) for stand in standing_of(grant.levels())[:2]]
        parts = [_part_left(stand) for stand in grant.standing()[:2]]
        assert parts == pytest.approx(expected_parts, abs=1e-12)
        if keeps:
            taken["requests"] += 1
            taken["tokens"] += tokens
        else:
            grant.cancel()


@pytest.mark.parametrize("rollover", [0.0, 0.5])
@pytest.mark.parametrize("slots", [None, 2**63])
@settings(max_examples=200, deadline=None)
@given(
    drawn=BUDGETS,
    steps=st.lists(
        st.tuples(st.integers(-2, 2), st.sampled_from(("held", "undone", "settled", "grown"))),
        max_size=12,
    ),
)
async def test_money_at_the_very_number(
    rollover: float,
    slots: int | None,
    drawn: list[tuple[int, bool, Period]],
    steps: list[tuple[int, str]],
) -> None:
    rules = tuple(
        Rule(Scope("team", f"t{n}"), "b", "money", limit, Calendar(period, "UTC", rollover), hard)
        for n, (limit, hard, period) in enumerate(drawn)
    )
    others = () if slots is None else (Rule(Scope("key", "k"), "c", "concurrency", slots, None),)
    store = MemoryQuotas(monotonic=lambda: 1000.0, wall=lambda: WEDNESDAY)
    quota = store.bind((*others, *rules))
    smallest = min((rule.limit for rule in rules if rule.hard), default=2**70)
    used = 0
    for beside, then in steps:
        asked = max(1, smallest - used + beside)
        grant = quota.take_now(0, asked, asked)
        assert (grant is not None) is all(used + asked <= r.limit for r in rules if r.hard)
        if grant is None:
            continue
        used += asked
        left = [rule.limit - used for rule in rules if rule.hard]
        assert grant.money == asked
        assert grant.standing()[2] == (min(left) if left else None)
        if then == "undone":
            grant.cancel()
            used -= asked
        elif then == "settled":  # Dearer than was held, as an answer can be that was not foreseen.
            grant.settle(0, asked + 3)
            used += 3
        elif then == "grown":
            more = await grant.grow(5)
            assert more == max(0, min([5, *left]))
            used += more


def _part_left(stand: Stand | None) -> float:
    """Of two limits that are used alike either may be told."""
    if stand is None:
        return -1.0
    limit, remaining, _ = stand
    return remaining / limit if limit else 0.0


async def test_forgotten_counts_hold_nothing_back() -> None:
    now = [1000.0]
    store = MemoryQuotas(monotonic=lambda: now[0])
    rules = rules_of([("requests", 1, True)])
    quota = store.bind(rules)
    grant = quota.take_now(0, 0, 0)
    assert grant is not None
    assert quota.take_now(0, 0, 0) is None
    now[0] += 200
    store.sweep(10)
    assert store.accounts == 0
    again = await quota.take(Demand("r"))
    assert again.levels()[0].remaining == 0
    assert store.bind(rules).take_now(0, 0, 0) is None  # Both count in the same.
