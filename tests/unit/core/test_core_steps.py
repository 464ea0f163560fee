"""Steps: what decides at once is called, what has to wait is awaited, and the first word counts."""

import pytest

from proxy.core.admission import admit
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply, json_reply
from proxy.core.steps import Later, Step, take
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange, runtime

REPLY = json_reply(b"[]")


class Steps:
    """Makes steps that note when it was their turn."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def now(self, name: str, reply: Reply | None = None) -> Step:
        def step(_x: Exchange) -> Reply | None:
            self.did.append(name)
            return reply

        return step

    def later(self, name: str, reply: Reply | None = None) -> Later:
        async def rest(_x: Exchange) -> Reply | None:
            self.did.append(name)
            return reply

        return Later(rest)

    def sometimes(self, name: str, reply: Reply | None = None) -> Step:
        """One that finds out in its turn that it has to wait."""
        rest = self.later(f"{name}, awaited", reply)

        def step(_x: Exchange) -> Later:
            self.did.append(name)
            return rest

        return step


def made(*steps: Step) -> Exchange:
    return exchange(runtime({}, steps=steps), FakeIncoming())


async def test_they_follow_one_another_in_their_order() -> None:
    steps = Steps()
    x = made(steps.now("a"), steps.later("b"), steps.sometimes("c"), steps.now("d"))
    assert await take(admit, x) is None
    assert steps.did == ["a", "b", "c", "c, awaited", "d"]
    assert x.admitted >= x.received


@pytest.mark.parametrize("how", ["now", "later", "sometimes"])
async def test_a_reply_is_the_last_word(how: str) -> None:
    steps = Steps()
    answers: Step = getattr(steps, how)("it", REPLY)
    x = made(answers, steps.now("next"))
    assert await take(admit, x) is REPLY
    assert "next" not in steps.did and not x.admitted
    assert await take(answers, x) is REPLY


def test_what_need_not_wait_needs_no_coroutine() -> None:
    steps = Steps()
    assert admit(made(steps.now("a"), steps.now("b"))) is None
    assert steps.did == ["a", "b"]


async def test_several_that_wait_wait_in_their_order() -> None:
    steps = Steps()
    x = made(*map(steps.later, "abc"), steps.now("d"), steps.sometimes("e", REPLY), steps.now("f"))
    assert await take(admit, x) is REPLY
    assert steps.did == ["a", "b", "c", "d", "e", "e, awaited"]
    assert not x.admitted


@pytest.mark.parametrize("reply", [None, REPLY])
async def test_one_step_to_its_end(reply: Reply | None) -> None:
    steps = Steps()
    x = made()
    for step in (steps.now("a", reply), steps.later("b", reply), steps.sometimes("c", reply)):
        assert await take(step, x) is reply
    assert steps.did == ["a", "b", "c", "c, awaited"]
