"""What tries hold and cost: each its own, by what is really sent there; all of it is settled."""

import pytest

from proxy.base.errors import Cut, Refused, Reset, UpstreamError
from proxy.core.exchange import Exchange
from proxy.core.policy import Fallback, Policy
from proxy.core.reply import Reply
from proxy.core.rules import Rule as Decision
from proxy.limits.meter import HoldSpent
from proxy.wire.parameters import Parameters
from tests.fakes.wire import EVENTS, JSON, FakeAnswer
from tests.unit.core.outcomes import DONE, LAST, USAGE
from tests.unit.core.test_core_rescue import said
from tests.unit.core.walled import SEARCH, Request, Transport, Vendor

BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":500}'
STREAM = BODY[:-1] + b',"stream":true}'
OK = b'{"id":"x","usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}'
COST = 10 + 2 * 5
OTHER = Fallback(models=("o",))


def answers() -> Transport:
    return Transport(FakeAnswer([OK]))


def fails(status: int = 500) -> Transport:
    return Transport(FakeAnswer([b"{}"], JSON, status))


def streams(*pieces: bytes | Exception) -> Transport:
    return Transport(FakeAnswer(pieces, EVENTS))


def holds(request: Request) -> list[int]:
    return [each.hold.money if each.hold is not None else 0 for each in request.x.attempts]


def forced(**values: object) -> Policy:
    return Policy(parameters=Parameters.of(force=values), fallback=OTHER)


def input_of(body: bytes) -> int:
    return len(body) + 64


async def test_the_next_target_is_held_for_by_what_it_gets_itself() -> None:
    """Not by the lower cap that only the first had."""
    request = Request([Vendor(fails(), policy=forced(max_tokens=1)), Vendor(answers(), "o")], BODY)
    await request.run()
    request.check()
    assert b'"max_tokens":1}' in request.sent()[0] and request.sent()[1] == BODY
    assert holds(request)[1] == input_of(BODY) + 2 * 500
    assert request.record.cost == COST


async def test_no_budget_is_passed_by_a_cap_that_only_the_first_had() -> None:
    vendors = [Vendor(fails(), policy=forced(max_tokens=1)), Vendor(answers(), "o")]
    request = Request(vendors, BODY, budget=900)
    with pytest.raises(Refused) as caught:
        await request.run()
    request.check()
    assert caught.value.attempts[-1]["error"] == "budget_exceeded"
    assert len(request.sent()) == 1


async def test_what_was_set_for_a_target_without_a_hold_is_not_for_the_next() -> None:
    dear = Vendor(answers(), policy=forced(max_tokens=900, temperature=0.5))
    request = Request([dear, Vendor(answers(), "o")], BODY, budget=1500)
    await request.run()
    request.check()
    assert request.sent() == [BODY]


async def test_a_conversation_cut_for_one_window_is_whole_for_a_larger_one() -> None:
    turns = b",".join(b'{"role":"user","content":"%b"}' % (b"words " * 40) for _ in range(5))
    body = b'{"model":"m","messages":[%b],"max_tokens":10}' % turns
    windowed = Decision("r", windowed=True)
    vendors = [Vendor(fails(), policy=Policy(fallback=OTHER), window=300), Vendor(answers(), "o")]
    request = Request(vendors, body, rule=windowed)
    await request.run()
    request.check()
    first, second = request.sent()
    assert len(first) < len(body) / 2 and second == body
    assert holds(request)[1] == input_of(body) + 2 * 10


async def test_what_is_given_to_go_on_from_is_held_for_and_each_part_is_charged_once() -> None:
    policy, text = Policy(rescue=("prefill",)), b"word " * 50
    able = frozenset(("chat", "prefill"))
    request = Request(
        [
            Vendor(streams(said(text), Cut("c")), policy=policy),
            Vendor(streams(said(b"end"), LAST, USAGE, DONE), policy=policy, capabilities=able),
        ],
        STREAM,
    )
    await request.run()
    request.check()
    assert request.x.finished
    first, second = holds(request)
    assert second >= first + len(text.rstrip())
    assert [each.usage_source for each in request.record.attempts] == ["estimated", "upstream"]


@pytest.mark.parametrize("trouble", [Reset("r"), Cut("c")])
async def test_a_try_that_may_have_cost_is_charged_beside_the_good_one(
    trouble: UpstreamError,
) -> None:
    request = Request([Vendor(Transport(trouble)), Vendor(answers())], BODY)
    await request.run()
    request.check()
    first, second = request.record.attempts
    assert first.cost is not None and second.cost is not None and second.cost.total == COST
    assert request.record.cost == first.cost.total + COST


async def test_what_we_end_ourselves_in_the_last_read_is_no_good_end() -> None:
    """The vendor's own end stands in the same read: it must not look whole."""

    class Spent:
        def feed(self, data: bytes) -> bytes:
            if b"more" in data:
                raise HoldSpent
            return data

        def finish(self) -> bytes:
            return b""

    def metered(x: Exchange) -> Reply | None:
        x.on_reply(lambda _: x.filter(Spent()))
        return None

    request = Request(
        [Vendor(streams(said(b"some"), said(b"more") + LAST + DONE))], STREAM, last_step=metered
    )
    await request.run()
    request.check()
    assert not request.x.finished and isinstance(request.x.error, HoldSpent)
    assert b"event: error" in request.out.body and b"more" not in request.out.body


@pytest.mark.parametrize("route", ["m", "o"])
async def test_a_model_that_searches_is_held_for_as_one_whatever_it_is_called(route: str) -> None:
    """Its searches stand in its vendor's name for it, also where it is a fallback."""
    vendors = [Vendor(fails(), policy=Policy(fallback=OTHER)), Vendor(answers(), route)]
    request = Request(vendors, BODY, name="sonar-pro")
    await request.run()
    request.check()
    assert holds(request)[1] >= 10 * SEARCH
