"""Two tries side by side: whichever is taken, the other leaves nothing behind."""

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from proxy.base.errors import Refused, Reset
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.gate import Gate
from proxy.core.pauses import Allowance
from proxy.core.policy import Fallback, Hedge, Policy, Retry, Trigger
from proxy.core.target import Target
from tests.fakes.wire import JSON, FakeAnswer
from tests.unit.core.test_core_money import BODY, COST, OK
from tests.unit.core.walled import Request, Transport, Vendor, every_cancellation


def policy(retry: int = 1, on: tuple[Trigger, ...] = ("timeout", "error")) -> Policy:
    hedge = Hedge(after=0.0, allowance=Allowance(0.5))
    return Policy(Retry(retry, 0.0001, 0.001), Fallback(("o",), frozenset(on)), hedge=hedge)


def quick(turns: int = 0) -> Transport:
    return Transport(FakeAnswer([OK[:5], OK[5:]]), turns=[turns])


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (3, 0), (0, 3), (9, 1), (1, 9), (5, 5), (5, 6), (6, 5)]
)
async def test_a_caller_that_is_gone_leaves_neither_open(first: int, second: int) -> None:
    def make() -> Request:
        return Request([Vendor(quick(first), policy=policy()), Vendor(quick(second))], BODY)

    assert await every_cancellation(make) > 5


async def test_both_are_held_for_and_charged_and_the_overhead_is_none_of_the_waiting() -> None:
    request = Request([Vendor(quick(9), policy=policy()), Vendor(quick(40))], BODY)
    await request.run()
    request.check()
    loser, winner = request.record.attempts
    assert (loser.error, winner.error) == ("hedged", None)
    assert winner.cost is not None and winner.cost.total == COST
    assert loser.cost is not None and loser.cost.total > 0
    assert request.record.overhead is not None
    assert request.record.overhead <= winner.started < loser.started


@pytest.mark.parametrize(("on", "asked"), [(("timeout",), ["p0", "p1"]), (("error",), ["p0"] * 2)])
async def test_lateness_leads_to_another_model_only_where_timeouts_do(
    on: tuple[Trigger, ...], asked: list[str]
) -> None:
    first = Transport(FakeAnswer([OK]), FakeAnswer([OK]), turns=[9, 40])
    request = Request([Vendor(first, policy=policy(on=on)), Vendor(quick(40), "o")], BODY)
    await request.run()
    request.check()
    assert sorted(each.provider for each in request.x.attempts) == asked


async def test_who_refused_beside_a_late_one_is_not_asked_again_in_its_place() -> None:
    """The first fails last, in a way that may pass: that says nothing for the other."""
    late = Transport(FakeAnswer([b"{}"], JSON, 503), turns=[30])
    absent = Transport(*[FakeAnswer([b"{}"], JSON, 404) for _ in range(3)])
    request = Request([Vendor(late, policy=policy(3)), Vendor(absent, policy=policy(3))], BODY)
    with pytest.raises(Refused) as caught:
        await request.run()
    request.check()
    assert caught.value.status == 503
    assert len(absent.sent) == 1


async def test_one_that_fails_while_the_other_works_is_charged_as_what_it_was() -> None:
    request = Request(
        [Vendor(Transport(Reset("r"), turns=[8]), policy=policy()), Vendor(quick(30))], BODY
    )
    await request.run()
    request.check()
    assert [each.error for each in request.record.attempts] == ["reset", None]


class SlowHolds:
    """The gate of a store elsewhere: the second hold takes some turns of the loop."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def __getattr__(self, name: str) -> object:
        return getattr(self._gate, name)

    def hold_now(self, x: Exchange, target: Target, attempt: Attempt) -> bool:
        return not x.attempts and self._gate.hold_now(x, target, attempt)

    async def hold(self, x: Exchange, target: Target, attempt: Attempt) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        await self._gate.hold(x, target, attempt)


async def test_a_second_try_that_never_left_costs_nothing() -> None:
    """The first answers while the other is being held for."""
    request = Request([Vendor(quick(9), policy=policy()), Vendor(quick())], BODY)
    run = request.x.runtime
    assert run.gate is not None
    request.x.runtime = replace(run, gate=cast("Gate", SlowHolds(run.gate)))
    await request.run()
    request.check()
    assert len(request.sent()) == 1 and len(request.x.attempts) == 2
    assert request.record.cost == COST
