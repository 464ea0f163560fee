"""When a configuration becomes the good one, and when it is dropped."""

from proxy.processes.messages import Layout, Loaded
from proxy.processes.rollout import Rollout

LAYOUT = Layout("127.0.0.1", 8080, None, 2, 30.0, "info", "json", "d1")
A, B, C = (Loaded(version, LAYOUT, version.encode()) for version in "abc")


def settled() -> Rollout:
    rollout = Rollout(A)
    assert rollout.settle(["a", "a"]) == A
    return rollout


def test_the_first_is_good_when_every_worker_serves_it_and_not_before() -> None:
    rollout = Rollout(A)
    assert rollout.settle([None, None]) is None
    assert rollout.settle(["a", None]) is None
    assert not rollout.settled
    assert rollout.settle(["a", "a"]) == A
    assert rollout.settled


def test_it_is_announced_once() -> None:
    rollout = settled()
    assert rollout.settle(["a", "a"]) is None


def test_a_later_one_is_on_trial_until_all_serve_it() -> None:
    rollout = settled()
    rollout.try_out(B)
    assert rollout.for_new_worker() == [A, B]
    assert rollout.settle(["a", "b"]) is None
    assert rollout.good == A
    assert rollout.settle(["b", "b"]) == B
    assert rollout.for_new_worker() == [B]


def test_a_dropped_one_is_forgotten() -> None:
    rollout = settled()
    rollout.try_out(B)
    assert rollout.drop("b")
    assert rollout.for_new_worker() == [A]
    assert not rollout.drop("b")


def test_a_refusal_of_an_older_trial_drops_nothing() -> None:
    rollout = settled()
    rollout.try_out(B)
    rollout.try_out(C)
    assert not rollout.drop("b")
    assert rollout.newest() == C


def test_going_back_to_the_good_one_during_a_trial_is_a_trial_too() -> None:
    rollout = settled()
    rollout.try_out(B)
    rollout.try_out(A)
    assert rollout.settle(["b", "a"]) is None
    assert rollout.settle(["a", "a"]) == A


def test_one_death_during_a_trial_may_be_chance_two_are_not() -> None:
    rollout = settled()
    assert rollout.died("a") is None
    rollout.try_out(B)
    assert rollout.died("a") is None
    assert rollout.died("a") == B


def test_the_death_of_a_worker_that_served_the_trial_does_not_count() -> None:
    rollout = settled()
    rollout.try_out(B)
    assert rollout.died("b") is None
    assert rollout.died("b") is None
    assert rollout.died("a") is None


def test_each_trial_has_its_own_deaths() -> None:
    rollout = settled()
    rollout.try_out(B)
    rollout.died("a")
    rollout.try_out(C)
    assert rollout.died("a") is None
