"""What belongs together stays together; when a target goes only what it had moves."""

import random

from proxy.routing.strategies.port import Known
from proxy.routing.strategies.sticky import Sticky
from tests.unit.routing.planned_targets import names, target, weighed

STICKY = Sticky()
SESSIONS = [Known(sticky=f"session-{number}") for number in range(3000)]


def test_the_same_session_goes_to_the_same_target_everywhere() -> None:
    """Written down: other processes, hosts and versions must find the same."""
    targets = tuple(target(name) for name in "abcd")
    found = [names(STICKY.order(targets, ask)) for ask in SESSIONS[:3]]
    assert found == ["d b a c", "c a d b", "a c b d"]


def test_the_order_that_is_written_does_not_matter() -> None:
    targets = weighed(1, 2, 3)
    for ask in SESSIONS[:200]:
        assert STICKY.order(targets, ask) == STICKY.order(targets[::-1], ask)


def test_only_what_a_lost_target_had_moves() -> None:
    targets = weighed(1, 1, 1, 1)
    moved = 0
    for ask in SESSIONS:
        before = STICKY.order(targets, ask)
        after = STICKY.order(targets[1:], ask)
        assert after == tuple(each for each in before if each is not targets[0])
        moved += before[0] is not after[0]
    assert abs(moved / len(SESSIONS) - 1 / 4) < 0.03


def test_what_a_lost_target_had_is_spread_over_the_others() -> None:
    targets = weighed(1, 1, 1)
    orphans = [ask for ask in SESSIONS if STICKY.order(targets, ask)[0] is targets[0]]
    heirs = [STICKY.order(targets, ask)[1] for ask in orphans]
    assert abs(heirs.count(targets[1]) / len(orphans) - 1 / 2) < 0.05


def test_more_weight_draws_sessions_in_and_moves_no_others() -> None:
    light, heavy = weighed(1, 1, 1), weighed(1, 1, 2)
    for ask in SESSIONS:
        before, after = STICKY.order(light, ask)[0].model, STICKY.order(heavy, ask)[0].model
        assert after in {before, "2"}


def test_what_belongs_to_nothing_is_drawn_by_weight() -> None:
    draw, targets = random.Random(4).random, weighed(3, 1)
    firsts = [STICKY.order(targets, Known(draw=draw))[0].model for _ in range(10_000)]
    assert abs(firsts.count("0") / 10_000 - 3 / 4) < 0.02
