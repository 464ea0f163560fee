"""What is decided at once, without asking a store or waiting: the same as the long way decides."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.base import jsonio
from proxy.base.errors import BudgetExceeded, LimitReached
from proxy.core.attempt import Attempt
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.gate import Rates
from proxy.core.quota import (
    Calendar,
    Demand,
    QuickQuota,
    QuotaExceeded,
    Rule,
    Scope,
    Sliding,
    Walls,
)
from proxy.core.reply import Reply
from proxy.core.target import Provider, Route, Target
from proxy.limits import need
from proxy.limits.bundles import Bundles
from proxy.limits.gate import GateOptions, LimitsGate
from proxy.limits.rulebook import Walled
from proxy.limits.waiting import WaitingRoom
from proxy.stores.memory.store import MemoryQuotas
from proxy.wire.body import Body
from tests.examples import examples
from tests.fakes.caller import FakeIncoming, fields
from tests.fakes.exchange import simple
from tests.fakes.wire import FakeTransport

KEY = Scope("key", "k")
TEAM = Scope("team", "t")
MINUTE = Sliding(60)
RAW = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5}'
HELD = len(RAW) + 64 + 10  # Nano-USD: a token of input costs 1, one of output 2.


class Prices:
    """One price for everything."""

    def most(self, provider: str, model: str, tokens_in: int, tier: str) -> Rates | None:
        return Rates(1_000_000, 2_000_000, 0, 0, 0, 0, 4096, None, None)


def budget(scope: Scope, nano: int, period: Calendar = Calendar("day")) -> Rule:  # noqa: B008
    return Rule(scope, f"budget per {period.period}", "money", nano, period)


class Walks:
    """Requests of one caller through a gate on a store in memory."""

    def __init__(self, walls: Walls, max_queue: int = 0) -> None:
        self.caller = Caller("k", ModelPatterns.of(("*",)), walls=walls)
        bundles = Bundles(MemoryQuotas(), Walled({}, {}))
        self.room = WaitingRoom()
        options = GateOptions(max_queue=max_queue)
        self.gate = LimitsGate(bundles, bundles, Prices(), self.room, options)

    @property
    def provider(self) -> Provider:
        passthrough = simple(FakeTransport(), FakeIncoming(RAW)).runtime.passthrough
        assert passthrough is not None
        return passthrough.provider

    def request(self, raw: bytes = RAW) -> Exchange:
        x = simple(FakeTransport(), FakeIncoming(raw))
        x.body, x.model, x.caller = Body(raw), "m", self.caller
        return x

    async def admitted(self) -> Exchange:
        x = self.request()
        await self.gate.admit(x)
        return x

    async def held(self, x: Exchange) -> Attempt:
        target = Target(self.provider, "m")
        attempt = Attempt(target)
        await self.gate.hold(x, target, attempt)
        x.attempts.append(attempt)
        return attempt


async def test_nothing_is_taken_where_anything_refuses() -> None:
    """By rates, by slots and by budgets; and the refusal names the wall."""
    rules = (
        Rule(KEY, "rpm", "requests", 3, MINUTE),
        Rule(KEY, "tpm", "tokens", 100, MINUTE),
        Rule(KEY, "concurrency", "concurrency", 2, None),
        budget(KEY, 1000),
        budget(KEY, 5000, Calendar("month")),
    )
    quota = MemoryQuotas().bind(rules)
    assert isinstance(quota, QuickQuota)
    first = quota.take_now(40, 600, 600)
    assert first is not None and first.money == 600
    for tokens, money, least in ((61, 0, 0), (0, 401, 401)):
        assert quota.take_now(tokens, money, least) is None
        with pytest.raises(QuotaExceeded) as caught:
            await quota.take(Demand("d", tokens, money, least))
        assert caught.value.denial.level.rule.measure == ("tokens" if tokens else "money")
    less = quota.take_now(60, 400, 50)  # A quarter of what is left.
    assert less is not None and less.money == 100
    assert [level.remaining for level in less.levels()] == [1, 0, 0, 300, 4300]
    assert quota.take_now(0, 0, 0) is None  # No slot.
    for grant in (first, less):
        grant.cancel()
    again = quota.take_now(0, 0, 0)
    assert again is not None
    assert [level.remaining for level in again.levels()] == [2, 100, 1, 1000, 5000]


def test_an_account_that_others_took_to_its_next_window_is_not_held_in_its_last() -> None:
    """The purses that a quota keeps at hand are looked up anew, even by a clock put back."""
    noon, day = 1_772_625_600.0, 86_400.0
    at = [noon]
    store = MemoryQuotas(wall=lambda: at[0])
    mine = store.bind((budget(KEY, 100), budget(TEAM, 100)))
    others = store.bind((budget(TEAM, 100),))
    assert mine.take_now(0, 60, 60) is not None
    at[0] += day
    assert others.take_now(0, 60, 60) is not None
    at[0] -= day
    grant = mine.take_now(0, 40, 40)
    assert grant is not None
    assert [level.remaining for level in grant.levels()] == [0, 0]
    at[0] += day
    fresh = mine.take_now(0, 40, 40)
    assert fresh is None  # The team has spent it all.


async def test_who_waits_is_not_overtaken() -> None:
    walks = Walks(Walls((Rule(KEY, "concurrency", "concurrency", 1, None),)), max_queue=3)
    first = await walks.admitted()
    order: list[str] = []

    async def through(name: str) -> None:
        x = await walks.admitted()
        order.append(name)
        await asyncio.sleep(0)
        x.finished = True
        walks.gate.settle(x)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for name in ("second", "third"):
            group.create_task(through(name))
        while walks.room.waiting < 2:
            await asyncio.sleep(0)
        first.finished = True
        walks.gate.settle(first)
        await through("last")  # It comes while the slot is free.
    assert order == ["second", "third", "last"]


async def test_a_budget_that_is_spent_refuses_the_next() -> None:
    walks = Walks(Walls(budgets=(budget(KEY, 2 * HELD + 1),)))
    held = [await walks.held(await walks.admitted()) for _ in range(2)]
    assert [each.hold is not None and each.hold.money for each in held] == [HELD, HELD]
    with pytest.raises(BudgetExceeded, match=r"has 0\.000000001 USD left"):
        await walks.held(await walks.admitted())


async def test_what_can_be_decided_at_once_is() -> None:
    walks = Walks(Walls((Rule(KEY, "rpm", "requests", 1, MINUTE),), (budget(KEY, HELD + 1),)))
    target = Target(walks.provider, "m")
    x = walks.request()
    assert walks.gate.admit_now(x) and x.grant is not None
    attempt = Attempt(target)
    assert walks.gate.hold_now(x, target, attempt)
    assert attempt.hold is not None and attempt.hold.money == HELD
    x.attempts.append(attempt)
    later = walks.request()
    assert not walks.gate.admit_now(later) and later.grant is None
    with pytest.raises(LimitReached):
        await walks.gate.admit(later)
    attempt = Attempt(target)
    assert not walks.gate.hold_now(later, target, attempt)
    assert attempt.hold is None


def test_without_walls_nothing_is_waited_for() -> None:
    walks = Walks(Walls())
    x = walks.request()
    assert walks.gate.admit_now(x)
    assert walks.gate.hold_now(x, Target(walks.provider, "m"), Attempt(Target(walks.provider, "m")))


def test_a_limit_on_one_request_may_have_to_be_looked_at_closely() -> None:
    walks = Walks(Walls(tokens_per_request=10**6))
    assert not walks.gate.admit_now(walks.request())


async def test_what_the_vendor_says_of_its_limits_gives_way_to_ours() -> None:
    walks = Walks(Walls((Rule(KEY, "rpm", "requests", 9, MINUTE),), (budget(KEY, 10**9),)))
    x = await walks.admitted()
    await walks.held(x)
    reply = Reply(200, [(b"X-RateLimit-Limit-Requests", b"1"), (b"x-own", b"2")])
    x.announce(reply)
    assert reply.headers == [(b"x-own", b"2")]
    assert fields(reply.lines) == [
        (b"x-ratelimit-limit-requests", b"9"),
        (b"x-ratelimit-remaining-requests", b"8"),
        (b"x-ratelimit-reset-requests", b"1m1s"),
        (b"x-llm-proxy-budget-remaining", b"0.%09d" % (10**9 - HELD)),
    ]


texts = st.text(alphabet='ab"\\\n/typeu0é', max_size=20)
members: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {"messages": st.lists(st.fixed_dictionaries({"role": texts, "content": texts}), max_size=3)},
    optional={
        "max_tokens": st.integers(1, 999),
        "max_completion_tokens": st.none() | st.integers(1, 999),
        "n": st.integers(1, 9),
        "temperature": st.floats(0, 2),
        "service_tier": texts,
        "prediction": texts,
        "tools": st.just([{"type": "web_search"}]),
        "type": texts,
        "web_search_options": st.just({}),
    },
)


@settings(max_examples=examples(60), deadline=None)
@given(members, st.sampled_from(("m", "sonar", "gpt-4o-search")))
def test_the_usual_is_read_as_the_long_way_reads_it(given_: dict[str, object], model: str) -> None:
    raw = jsonio.dumps({"model": model, **given_})
    x = simple(FakeTransport(), FakeIncoming(raw))
    x.body, x.model = Body(raw), model
    quick = need._of_texts(x, x.body)
    if quick is not None:
        assert quick == need._of_json(x, x.body)
    plain = not given_.keys() & {
        "service_tier",
        "prediction",
        "tools",
        "type",
        "web_search_options",
    }
    if plain and model == "m" and b'"type"' not in raw and b"\\u00" not in raw:
        assert quick is not None


def test_a_cap_that_was_changed_is_read_again() -> None:
    body = Body(RAW)
    x = simple(FakeTransport(), FakeIncoming(RAW))
    x.body = body
    assert need.need_of(x).output == 5
    body.set("max_tokens", b"7")
    assert need.need_of(x).output == 7


async def test_walls_that_change_in_between_stand_before_the_hold() -> None:
    """What was found at admission is of use as long as nothing has changed."""
    walls = {TEAM: Walls(budgets=(budget(TEAM, 10 * HELD),))}
    bundles = Bundles(MemoryQuotas(), Walled(walls, {}))
    gate = LimitsGate(bundles, bundles, Prices(), WaitingRoom(), GateOptions())
    walks = Walks(Walls())
    walks.gate, walks.caller = gate, Caller("k", ModelPatterns.of(("*",)), team="t")
    first, second = walks.request(), walks.request()
    assert gate.admit_now(first) and gate.admit_now(second)
    assert (await walks.held(first)).hold is not None
    walls[TEAM] = Walls(budgets=(budget(TEAM, HELD),))
    gate.forget()
    with pytest.raises(BudgetExceeded):
        await walks.held(second)


async def test_each_target_has_its_own_walls_whichever_was_asked_last() -> None:
    walks = Walks(Walls(budgets=(budget(KEY, 100 * HELD),)))
    small = Walls(budgets=(budget(Scope("provider", "p"), HELD),))
    plain = Target(walks.provider, "m")
    walled = Target(replace(walks.provider, name="walled", walls=small), "m")
    x = walks.request()
    assert walks.gate.admit_now(x)
    for target, fits in ((plain, True), (walled, True), (plain, True), (walled, False)):
        assert walks.gate.hold_now(x, target, Attempt(target)) is fits


SEARCHING: list[tuple[str, str, str, bool]] = [
    ("m", "m", "gpt-4o", False),
    ("m", "m", "gpt-4o-search", True),  # By whatever name it is asked for.
    ("sonar", "sonar", "gpt-4o", True),
    ("*", "m", "gpt-4o", False),
    ("*", "my-search", "gpt-4o", True),  # It is that only in the request.
]


@pytest.mark.parametrize(("route", "asked", "target", "searches"), SEARCHING)
@pytest.mark.parametrize("planned", [False, True])
def test_a_model_that_searches_by_itself_has_no_plain_need(
    route: str, asked: str, target: str, searches: bool, planned: bool
) -> None:
    x = simple(FakeTransport(), FakeIncoming(RAW))
    only = Target(Walks(Walls()).provider, target)
    x.body, x.model, x.route = Body(RAW), asked, Route(route, (only,))
    x.plan = (only,) if planned else ()
    assert (need._of_texts(x, x.body) is None) is searches
    assert bool(need.need_of(x).searches) is searches
