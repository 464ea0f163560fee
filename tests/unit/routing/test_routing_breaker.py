"""A breaker by a clock that is moved by hand: when it opens, and whom it lets through."""

import pytest

from proxy.core.policy import Breaker as Settings
from proxy.routing.breaker import Breaker

SETTINGS = Settings(failures=3, recovery=10.0, probes=1)


def opened(at: float = 0.0, settings: Settings = SETTINGS) -> Breaker:
    breaker = Breaker(settings)
    for _ in range(settings.failures):
        _ = breaker.failed(breaker.begin(), at, "server")
    assert breaker.state(at) == "open"
    return breaker


def test_failures_in_a_row_open_it_and_no_fewer() -> None:
    breaker = Breaker(SETTINGS)
    assert [breaker.failed(breaker.begin(), 1.0, "cut") for _ in range(3)] == [False, False, True]
    assert breaker.opens() == 11.0
    assert not breaker.is_clear
    why = breaker.why_not(6.0)
    assert why is not None
    assert "open for 5.0 s" in why
    assert "3 failures in a row, the last: cut" in why


def test_a_whole_answer_in_between_begins_the_row_anew() -> None:
    breaker = Breaker(SETTINGS)
    for _ in range(10):
        assert not breaker.failed(breaker.begin(), 1.0, "cut")
        assert not breaker.failed(breaker.begin(), 1.0, "cut")
        breaker.worked(breaker.begin())
    assert breaker.is_clear


def test_half_open_lets_so_many_through_at_once() -> None:
    breaker = opened(settings=Settings(failures=1, recovery=10.0, probes=2))
    assert breaker.why_not(9.9) is not None
    assert breaker.state(10.0) == "half_open"
    assert breaker.why_not(10.0) is None
    era = breaker.begin()
    assert breaker.why_not(10.0) is None
    assert breaker.begin() == era
    assert breaker.why_not(10.0) is not None
    breaker.gave_way(era)  # The caller left: another may try.
    assert breaker.why_not(10.0) is None


def test_one_that_answers_closes_it() -> None:
    breaker = opened()
    assert breaker.why_not(10.0) is None
    assert breaker.answers(breaker.begin())
    assert (breaker.state(10.0), breaker.is_clear) == ("closed", True)
    assert not breaker.answers(breaker.begin())  # It was closed already.


def test_one_that_fails_opens_it_for_as_long_again() -> None:
    breaker = opened()
    assert breaker.failed(breaker.begin(), 12.0, "timeout")
    assert breaker.opens() == 22.0
    assert breaker.state(21.9) == "open"


@pytest.mark.parametrize(("whole", "opens"), [(False, True), (True, False)])
def test_it_is_on_parole_until_an_answer_is_whole(whole: bool, opens: bool) -> None:
    breaker = opened()
    era = breaker.begin()
    assert breaker.answers(era)
    if whole:
        breaker.worked(era)
    assert breaker.failed(breaker.begin(), 11.0, "cut") is opens


def test_what_was_sent_before_says_nothing_afterwards() -> None:
    breaker = Breaker(SETTINGS)
    old = breaker.begin()
    for _ in range(3):
        _ = breaker.failed(breaker.begin(), 0.0, "server")
    assert not breaker.failed(old, 5.0, "timeout")
    assert breaker.opens() == 10.0
    assert not breaker.answers(old)
    breaker.gave_way(old)
    assert breaker.state(10.0) == "half_open"
    probe = breaker.begin()
    breaker.gave_way(old)
    assert breaker.why_not(10.0) is not None  # The place is still taken.
    assert breaker.answers(probe)
    assert not any(breaker.failed(old, 10.0, "timeout") for _ in range(9))


def test_opening_again_never_makes_it_shorter() -> None:
    breaker = Breaker(SETTINGS)
    breaker.open(100.0, "somebody said so")
    breaker.open(50.0, "and somebody else")
    assert breaker.opens() == 100.0
    breaker.rest(70.0)
    breaker.rest(60.0)
    breaker.close()
    assert breaker.opens() == 70.0


def test_a_rest_ends_by_itself_and_lets_everything_through() -> None:
    breaker = Breaker(SETTINGS)
    breaker.rest(5.0)
    assert breaker.rests(4.9)
    assert breaker.why_not(4.9) == "the vendor wants it left alone for 0.1 s"
    assert breaker.why_not(5.0) is None
    assert breaker.is_clear
    assert not breaker.rests(5.0)


def test_an_open_breaker_is_no_rest() -> None:
    breaker = opened()
    breaker.rest(50.0)
    assert not breaker.rests(1.0)


def test_somebody_else_found_it_well() -> None:
    breaker = opened()
    breaker.try_now(3.0)
    assert breaker.state(3.0) == "half_open"
