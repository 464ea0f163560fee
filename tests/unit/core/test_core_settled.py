"""The end of an exchange: attempts first, then what was registered, each whatever the others do."""

from dataclasses import replace

import pytest

from proxy.core.attempt import Attempt
from proxy.core.dispatch import Tries
from proxy.core.exchange import Exchange
from proxy.core.pauses import Allowance
from proxy.core.target import Target
from proxy.core.tracing import NOT_TRACED, Trace, begun
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import provider, simple
from tests.fakes.wire import FakeTransport
from tests.unit.routing.planned_targets import FakeHealth

TARGET = Target(provider("p", FakeTransport()), "m")


class Failing(FakeHealth):
    def end(self, reason: str | None, began: int) -> None:
        raise ZeroDivisionError


def made(health: FakeHealth | None = None) -> tuple[Exchange, Attempt]:
    x = simple(FakeTransport(), FakeIncoming())
    attempt = Attempt(replace(TARGET, health=health or FakeHealth()))
    attempt.sent()
    x.attempts.append(attempt)
    return x, attempt


def test_attempts_are_over_before_anything_else_ends() -> None:
    x, attempt = made()
    seen: list[bool] = []
    x.at_end(lambda _: seen.append(attempt.open))
    x.settle()
    assert seen == [False]
    x.settle()
    assert seen == [False] and attempt.target.health.in_flight == 0


def test_an_attempt_that_fails_to_end_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    x, _ = made(Failing())
    seen: list[str] = []
    x.at_end(lambda _: seen.append("settled"))
    x.settle()
    assert seen == ["settled"] and x.settled
    assert "an attempt of req_test could not be ended" in caplog.text


def test_an_attempt_that_fails_to_end_leaves_the_next_one_to_be_ended() -> None:
    x, _ = made(Failing())
    beside = Attempt(replace(TARGET, health=FakeHealth()))
    beside.sent()
    x.attempts.append(beside)
    x.settle()
    assert not beside.open
    assert beside.target.health.in_flight == 0


def test_what_comes_after_the_end_is_still_to_be_settled() -> None:
    x, _ = made()
    x.settle()
    assert x.settled
    seen: list[str] = []
    x.at_end(lambda _: seen.append("late"))
    assert not x.settled
    x.settle()
    assert seen == ["late"] and x.settled


def spans(x: Exchange, *, failures: int = 0) -> str | None:
    tries = Tries(x)
    for _ in range(failures):
        x.attempts.append(tries.attempt(TARGET))
    return tries.attempt(TARGET).span


def test_the_first_attempt_has_the_span_that_was_drawn_for_it() -> None:
    x = simple(FakeTransport(), FakeIncoming())
    x.trace = begun()
    assert spans(x) == x.trace.first
    other = spans(x, failures=1)
    assert other is not None and other not in {x.trace.first, x.trace.span}
    assert len(other) == 16
    x.trace = NOT_TRACED
    assert (spans(x), spans(x, failures=1)) == (None, None)


def test_the_first_attempt_starts_when_the_request_was_admitted() -> None:
    x = simple(FakeTransport(), FakeIncoming())
    assert Tries(x).attempt(TARGET).started > x.received  # It never was: the clock is read.
    x.admitted = x.received + 0.5
    first = Tries(x).attempt(TARGET)
    assert first.started == x.admitted
    x.attempts.append(first)
    assert Tries(x).attempt(TARGET).started != x.admitted


def test_a_trace_that_begins_here_has_ids_of_its_own() -> None:
    found = {begun() for _ in range(100)}
    assert len(found) == 100
    for each in found:
        assert isinstance(each, Trace)
        assert each.span is not None and each.first is not None and each.trace is not None
        assert (len(each.trace), len(each.span), len(each.first)) == (32, 16, 16)
        assert int(each.trace, 16) and int(each.span, 16) and int(each.first, 16)
        assert each == Trace(each.trace, span=each.span, first=each.first)


def test_an_allowance_knows_when_nothing_more_can_be_earned() -> None:
    allowance = Allowance(0.5, at_once=2.0)
    assert allowance.is_full
    assert allowance.spend() and not allowance.is_full
    allowance.earn()
    assert not allowance.is_full
    allowance.earn()
    assert allowance.is_full
    assert allowance.spend() and allowance.spend() and not allowance.spend()
    none = Allowance(0.0)
    assert none.is_full and not none.spend()
