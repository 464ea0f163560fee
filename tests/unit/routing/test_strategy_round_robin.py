"""Turns: nginx's own sequence, evenly spread, kept apart by the model asked for, bounded."""

import random

from proxy.routing.strategies.port import Known
from proxy.routing.strategies.round_robin import RoundRobin
from tests.unit.routing.planned_targets import names, target, weighed

FROM_THE_START = Known(route="m", draw=lambda: 0.0)


def firsts(turns: int, *weights: float, ask: Known = FROM_THE_START) -> str:
    strategy, targets = RoundRobin(), weighed(*weights)
    return "".join(strategy.order(targets, ask)[0].model for _ in range(turns))


def test_the_sequence_that_nginx_documents() -> None:
    """For {5, 1, 1}: a a b a c a a."""
    assert firsts(14, 5, 1, 1) == "0010200" * 2


def test_equal_weights_take_turns() -> None:
    assert firsts(6, 1, 1, 1) == "012012"


def test_who_comes_first_next_comes_second() -> None:
    strategy, targets = RoundRobin(), weighed(1, 1, 1, 0)
    assert names(strategy.order(targets, FROM_THE_START)) == "0 1 2 3"
    assert names(strategy.order(targets, FROM_THE_START)) == "1 2 0 3"


def test_any_window_has_its_shares() -> None:
    turns = firsts(1000, 3, 2, 1, ask=Known(draw=random.Random(3).random))
    for start in range(0, 990, 7):
        window = turns[start : start + 6]
        assert [window.count(each) for each in "012"] == [3, 2, 1]


def test_workers_do_not_all_begin_with_the_same() -> None:
    draw = random.Random(5).random
    begun = {firsts(1, 1, 1, 1, ask=Known(draw=draw)) for _ in range(50)}
    assert begun == {"0", "1", "2"}


def test_who_was_out_does_not_catch_up_with_a_burst() -> None:
    strategy, targets = RoundRobin(), weighed(1, 1)
    for _ in range(100):
        assert names(strategy.order(targets[:1], FROM_THE_START)) == "0"
    back = "".join(strategy.order(targets, FROM_THE_START)[0].model for _ in range(6))
    assert back in {"010101", "101010"}


def test_models_asked_alternately_do_not_take_each_others_turns() -> None:
    strategy, targets = RoundRobin(), weighed(1, 1)
    seen: dict[str, str] = {"a": "", "b": ""}
    for turn in range(12):
        asked = "ab"[turn % 2]
        ask = Known(route=asked, draw=lambda: 0.0)
        seen[asked] += strategy.order(targets, ask)[0].model
    assert seen == {"a": "010101", "b": "010101"}


def test_names_without_end_are_not_all_kept() -> None:
    strategy = RoundRobin()
    for number in range(10_000):
        strategy.order((target(f"a{number}"), target(f"b{number}")), FROM_THE_START)
    assert max(map(len, strategy._turns.values())) < 5000
