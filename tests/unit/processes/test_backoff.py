"""Restart delays."""

from proxy.processes.backoff import Backoff


def test_the_first_death_costs_no_time_and_later_ones_ever_more_up_to_a_bound() -> None:
    backoff = Backoff()
    delays = [backoff.after(0.01) for _ in range(9)]
    assert delays == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_child_that_lived_a_while_starts_afresh() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after(0.5)
    assert backoff.after(10.0) == 0.0
    assert backoff.after(9.9) == 0.1


def test_weeks_of_crashes_overflow_nothing() -> None:
    backoff = Backoff()
    assert {backoff.after(0.0) for _ in range(5000)} >= {5.0}
    assert backoff.after(0.0) == 5.0
