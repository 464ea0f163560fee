"""The gate when its store is away, and the meter of a stream, on stores that do as told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from proxy.base.errors import AccessDenied, LimitReached, ProxyError, StoreUnavailable
from proxy.core.attempt import Attempt
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.gate import Need, Rates
from proxy.core.quota import (
    Calendar,
    Demand,
    Grant,
    Level,
    Quota,
    QuotaUnknown,
    Rule,
    Scope,
    Sliding,
    Standing,
    Walls,
    standing_of,
)
from proxy.core.reply import Reply
from proxy.core.target import Target
from proxy.limits import bounds
from proxy.limits.bundles import Bundles
from proxy.limits.gate import GateOptions, LimitsGate
from proxy.limits.meter import HoldSpent, Meter
from proxy.limits.rulebook import Walled
from proxy.limits.telling import Policy
from proxy.limits.waiting import WaitingRoom
from proxy.middleware.catalogue import catalogue
from proxy.stores.memory.store import MemoryQuotas
from proxy.wire.body import Body
from proxy.wire.record import Usage
from tests.fakes.caller import FakeIncoming, fields
from tests.fakes.exchange import exchange, provider, runtime, simple
from tests.fakes.wire import FakeAnswer, FakeTransport

KEY = Scope("key", "k")
RATES = Rates(1_000_000, 2_000_000, 0, 0, 0, 0, 4096, None, None)  # 1 and 2 nano-USD a token.


class Prices:
    """One price for everything."""

    def most(self, provider: str, model: str, tokens_in: int, tier: str) -> Rates | None:
        return RATES


class Away:
    """A store that cannot be asked."""

    def bind(self, rules: tuple[Rule, ...]) -> Quota:
        return AwayQuota(rules)

    def correct(self, id: str, money: int) -> None: ...

    def failing(self) -> str | None:
        return "it is away"

    async def run(self) -> None: ...

    async def close(self) -> None: ...


class AwayQuota:
    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules

    async def take(self, demand: Demand) -> Grant:
        raise QuotaUnknown("it is away")


def request(rpm: int = 4, nano: int = 10_000) -> Exchange:
    raw = b'{"model":"m","max_tokens":5}'
    x = simple(FakeTransport(), FakeIncoming(raw))
    x.body, x.model = Body(raw), "m"
    x.caller = Caller(
        "k",
        ModelPatterns.of(("*",)),
        walls=Walls(
            (Rule(KEY, "rpm", "requests", rpm, Sliding(60)),),
            (Rule(KEY, "budget per day", "money", nano, Calendar("day")),),
        ),
    )
    return x


def gate(limits: Policy, budgets: Policy, share: int = 2) -> LimitsGate:
    book = Walled({}, {})
    return LimitsGate(
        Bundles(Away(), book),
        Bundles(MemoryQuotas(), book, share),
        Prices(),
        WaitingRoom(),
        GateOptions(limits, budgets),
    )


def target_of(x: Exchange) -> Target:
    passthrough = x.runtime.passthrough
    assert passthrough is not None
    return Target(passthrough.provider, "m")


async def through(walls: LimitsGate, x: Exchange) -> list[tuple[bytes, bytes]]:
    """Admitted, held for, answered and settled: what the answer says."""
    await walls.admit(x)
    attempt = Attempt(target_of(x))
    await walls.hold(x, target_of(x), attempt)
    x.attempts.append(attempt)
    reply = Reply(200, [])
    x.announce(reply)
    attempt.usage, attempt.cost, x.finished = Usage(1, 1), 3, True
    walls.settle(x)
    return [*reply.headers, *fields(reply.lines)]


class Blocked:
    """A rulebook in which one scope is blocked, or not understood."""

    def __init__(self, scope: Scope, error: type[ProxyError] = AccessDenied) -> None:
        self._scope = scope
        self._error = error

    def walls(self, scope: Scope) -> Walls | None:
        if scope == self._scope:
            raise self._error(f"the {scope} is blocked")
        return None


def listing(scope: Scope, error: type[ProxyError] = AccessDenied) -> Exchange:
    """`GET /v1/models` of a caller with names, where one scope is blocked."""
    rules = Blocked(scope, error)
    bundles = Bundles(MemoryQuotas(), rules)
    walls = LimitsGate(bundles, bundles, Prices(), WaitingRoom(), GateOptions())
    run = replace(runtime({"m": (Target(provider("p", FakeTransport()), "m"),)}), gate=walls)
    x = exchange(run, FakeIncoming(path="/models", method="GET"))
    x.caller = Caller(
        "k", ModelPatterns.of(("*",)), team="red", user="ada", project="x", agent="bot",
        tags=("night",),
    )  # fmt: skip
    return x


@pytest.mark.parametrize(
    "scope",
    [
        Scope("team", "red"), Scope("user", "ada"), Scope("project", "x"), Scope("agent", "bot"),
        Scope("tag", "night"), Scope("global", ""),
    ],
)  # fmt: skip
async def test_who_is_blocked_is_not_told_the_models(scope: Scope) -> None:
    with pytest.raises(AccessDenied, match="is blocked"):
        catalogue(listing(scope))


async def test_models_are_told_to_others_and_while_walls_are_not_known() -> None:
    for x in (
        listing(Scope("team", "blue")),
        listing(Scope("team", "red"), StoreUnavailable),
    ):
        reply = catalogue(x)
        assert reply is not None and reply.status == 200
        assert x.grant is None  # Nothing is counted.


async def test_denied() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await through(gate("deny", "deny"), request())
    assert (b"retry-after", b"1") in caught.value.headers
    with pytest.raises(StoreUnavailable, match="budgets cannot be counted"):
        await through(gate("local", "deny"), request())


async def test_allowed() -> None:
    walls = gate("allow", "allow")
    for _ in range(10):
        told = await through(walls, request())
        assert (b"x-llm-proxy-degraded", b"limits: allow") in told
        assert (b"x-llm-proxy-degraded", b"budgets: allow") in told


async def test_the_workers_share() -> None:
    caller = request().caller
    walls = gate("local", "allow")
    for _ in range(2):
        x = request()
        x.caller = caller
        told = await through(walls, x)
        assert (b"x-llm-proxy-degraded", b"limits: local") in told
        assert (b"x-ratelimit-limit-requests", b"2") in told
    x = request()
    x.caller = caller
    with pytest.raises(LimitReached):
        await through(walls, x)


async def test_a_share_of_the_money() -> None:
    told = await through(gate("allow", "local"), request())
    need = len(b'{"model":"m","max_tokens":5}') + 64 + 10
    left = 5000 - need
    assert (b"x-llm-proxy-budget-remaining", b"0.%09d" % left) in told


def test_walls_of_the_same_name_are_found_again() -> None:
    """The keys of a bundle: caller, model where it matters, route, labels."""
    bundles = Bundles(MemoryQuotas(), Walled({}, {}))
    x = request()
    first = bundles.of(x)
    assert bundles.of(x) is first
    other = request()  # Another caller of the same name, as after a change of the key.
    assert bundles.of(other) is not first
    bundles.forget()
    assert bundles.of(x) is not first


class Purse:
    """A grant that grows as it is told, when it is told."""

    def __init__(self, money: int, more: int) -> None:
        self.money = money
        self.more = more
        self.asked: list[int] = []
        self.may_answer = asyncio.Event()

    def levels(self) -> tuple[Level, ...]:
        return ()

    def standing(self) -> Standing:
        return standing_of(())

    async def grow(self, money: int) -> int:
        self.asked.append(money)
        await self.may_answer.wait()
        given = min(money, self.more)
        self.more -= given
        self.money += given
        return given

    def settle(self, tokens: int, money: int) -> None: ...

    def cancel(self) -> None: ...


NEED = Need(100, 0, False, None, 0, 1, 0, 0, 0, 1, "")


def event(text: str) -> bytes:
    return b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % text.encode()


class TestMeter:
    """Counts, grows, pauses, stops."""

    @pytest.fixture
    async def x(self) -> AsyncIterator[Exchange]:
        x = request()
        yield x
        x.settle()

    def meter(self, x: Exchange, purse: Purse) -> tuple[Meter, FakeAnswer]:
        answer = FakeAnswer()
        meter = Meter(NEED, RATES, purse)
        meter.watch(x, answer)
        assert x.filters == [meter]
        return meter, answer

    async def test_it_asks_when_half_has_passed(self, x: Exchange) -> None:
        purse = Purse(100 + 2 * 1000, 10**9)  # 1000 tokens of output.
        purse.may_answer.set()
        meter, answer = self.meter(x, purse)
        data = event("x" * 500)
        assert meter.feed(data) is data
        await asyncio.sleep(0)
        assert purse.asked == []
        assert meter.feed(event("x")) == event("x")
        await asyncio.sleep(0.01)
        assert purse.asked == [2 * bounds.STEP]
        assert meter.feed(event("x" * 2500)) == event("x" * 2500)
        await asyncio.sleep(0.01)
        assert len(purse.asked) == 2
        assert answer.did == []
        assert meter.finish() == b""

    async def test_it_stops_when_nothing_is_left(self, x: Exchange) -> None:
        purse = Purse(100 + 2 * 1000, 200)
        purse.may_answer.set()
        meter, _ = self.meter(x, purse)
        meter.feed(event("x" * 600))
        await asyncio.sleep(0.01)
        assert meter.feed(event("x" * 500)) == event("x" * 500)
        with pytest.raises(HoldSpent):
            meter.feed(event("x"))
        assert purse.asked == [2 * bounds.STEP]

    async def test_nothing_more_is_read_before_it_is_known(self, x: Exchange) -> None:
        purse = Purse(100 + 2 * 1000, 10**6)
        meter, answer = self.meter(x, purse)
        meter.feed(event("x" * 1001))
        assert answer.did == ["pause"]
        purse.may_answer.set()
        await asyncio.sleep(0.01)
        assert answer.did == ["pause", "resume"]
        meter.feed(event("x" * 1000))

    async def test_one_that_ends_meanwhile_leaves_nothing(self, x: Exchange) -> None:
        purse = Purse(100 + 2 * 1000, 10**6)
        meter, _ = self.meter(x, purse)
        meter.feed(event("x" * 700))
        await asyncio.sleep(0)
        x.settle()
        await asyncio.sleep(0)
        assert meter._growth is None or meter._growth.cancelled()

    async def test_escapes_and_tools_count(self, x: Exchange) -> None:
        purse = Purse(100 + 2 * 50, 0)
        purse.may_answer.set()
        meter, _ = self.meter(x, purse)
        call = b'data: {"delta":{"tool_calls":[{"function":{"arguments":"{\\"a\\": 1}"}}]}}\n\n'
        for _ in range(5):  # Ten bytes each.
            meter.feed(call)
            await asyncio.sleep(0.001)
        with pytest.raises(HoldSpent):
            meter.feed(call)
