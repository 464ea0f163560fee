"""What a body becomes for one target: nothing where nothing is said of it, and all that is else."""

from dataclasses import replace

import pytest

from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.fitting import fit
from proxy.core.gate import Need
from proxy.core.policy import Policy
from proxy.core.rules import Rule
from proxy.core.target import Route, Target
from proxy.wire.body import Body
from proxy.wire.parameters import Parameters
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import provider, simple
from tests.fakes.wire import FakeTransport

# What a model that reasons does not take.
RAW = b'{"model":"m","temperature":0.5,"messages":[{"role":"user","content":"hi"}]}'
COOLER = b'{"model":"m","temperature":0.1,"messages":[{"role":"user","content":"hi"}]}'
BARE = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
TARGET = Target(provider("p", FakeTransport()), "o1", route="m")
COOL = Parameters.of(limit={"temperature": 0.1})
NEED = Need(1, 0, False, None, 0, 1, 0, 0, 0, 1, "")


def made(rule: Rule | None = None, *, tried: bool = False, raw: bytes = RAW) -> Exchange:
    x = simple(FakeTransport(), FakeIncoming(raw))
    x.body, x.need, x.rule = Body(raw), NEED, rule
    x.route = Route("m", (TARGET,))
    if tried:
        x.attempts.append(Attempt(TARGET))
    return x


def fitted(x: Exchange, target: Target = TARGET) -> bytes:
    assert isinstance(x.body, Body)
    fit(x, x.body, target)
    return x.body.raw


def test_the_first_target_gets_what_the_caller_said() -> None:
    x = made()
    assert fitted(x) is RAW
    assert x.need is NEED


def test_one_that_takes_its_place_gets_what_it_can_take() -> None:
    x = made(tried=True)
    assert fitted(x) == BARE
    assert x.need is NEED  # A temperature costs nothing.


def test_what_another_model_needs_is_not_what_was_thought() -> None:
    x = made()
    assert fitted(x, replace(TARGET, route="other")) == BARE
    assert x.need is None


TUNED = replace(TARGET, model="gpt-4o", policy=Policy(parameters=COOL))


@pytest.mark.parametrize(
    ("rule", "target"),
    [
        (None, TUNED),
        (Rule("r", parameters=COOL), replace(TARGET, model="gpt-4o")),
        (Rule("r", parameters=COOL), TUNED),
    ],
)
def test_what_the_operator_says_is_done(rule: Rule | None, target: Target) -> None:
    assert fitted(made(rule), target) == COOLER


LONG = b'{"model":"m","messages":[%b{"role":"user","content":"now"}]}' % (
    b'{"role":"user","content":"words words words"},{"role":"assistant","content":"ok"},' * 50
)


@pytest.mark.parametrize(
    ("rule", "window", "cut"),
    [
        (Rule("r", windowed=True), 100, True),
        (Rule("r", windowed=True), None, False),
        (Rule("r"), 100, False),
        (None, 100, False),
    ],
)
def test_what_is_too_long_is_cut_where_that_is_allowed(
    rule: Rule | None, window: int | None, cut: bool
) -> None:
    x = made(rule, raw=LONG)
    assert (fitted(x, replace(TARGET, context_window=window)) is not LONG) is cut
    assert (x.left_out > 0, x.need is None) == (cut, cut)
