"""Budgets are walls while workers are killed, callers leave and vendors cut.

The run of `python -m bench.walls`, smaller: real processes, Redis and database, and SIGKILL.

Its judges are tested beside it, so that a run that is called good is one.
"""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
import uvloop

from bench.faults_load import Pace
from bench.faults_requests import Ask
from bench.walls_asks import KINDS
from bench.walls_audit import Evidence, Verdict, judge
from bench.walls_book import WallBook
from bench.walls_proxy import places
from bench.walls_redis import Held, by_counter
from bench.walls_rpm import most_within
from bench.walls_run import Plan, run
from bench.walls_watch import Seen
from bench.walls_world import Budget, Rates, Tokens, budgets, make
from proxy.core.quota import Scope
from tests.fakes.postgres import data_dir

__all__ = ["data_dir"]

CALLS = 1500


def test_no_budget_is_passed_whoever_dies(data_dir: Path) -> None:
    plan = Plan(Pace(CALLS, rate=400, concurrency=60, silence=15), workers=2, kills=1, drain=25)
    with ExitStack() as stack:
        found = uvloop.run(run(plan, stack, data_dir))
    counts = found.book.counts
    told = "\n".join([str(counts), *found.seen.examples, *found.verdict.examples(), found.log])
    assert found.good, told
    assert "Traceback" not in found.log
    assert found.killed == 1
    assert found.seen.looks > 20
    assert counts.total() == CALLS
    assert counts["answered"] > CALLS * 0.1, told
    assert counts["refused"] > CALLS * 0.1, told
    assert found.verdict.in_records > 0
    assert found.verdict.in_truth <= found.verdict.amount
    assert max(found.seen.highest.values()) > 0.9


BUDGET = Budget(Scope("key", "a"), "day", 100)
SCOPE = BUDGET.scope


def judged(counter: int, *, kept: int = 0, recorded: int = 0, owed: int = 0) -> Verdict:
    """The verdict on one budget of 100."""
    return judge(
        Evidence((BUDGET,), {BUDGET.key: counter}, {BUDGET.key: kept}, {SCOPE: recorded},
                 {"key=a": owed})
    )  # fmt: skip


def test_what_agrees_is_good() -> None:
    assert judged(0).good
    assert judged(100, recorded=100, owed=100).good
    assert judged(90, kept=20, recorded=70, owed=80).good


@pytest.mark.parametrize(
    ("counter", "kept", "recorded", "owed", "says"),
    [
        (71, 0, 70, 0, "1 nano-USD more in the counter"),
        (69, 0, 70, 0, "-1 nano-USD more in the counter"),
        (90, 19, 70, 0, "1 nano-USD more in the counter"),
        (101, 0, 101, 0, "1 nano-USD above the amount, by the records"),
        (100, 0, 100, 101, "1 nano-USD above the amount, owed"),
    ],
)
def test_what_is_wrong_is_found(
    counter: int, kept: int, recorded: int, owed: int, says: str
) -> None:
    verdict = judged(counter, kept=kept, recorded=recorded, owed=owed)
    assert not verdict.good
    assert any(says in example for example in verdict.examples())


def test_one_look_above_the_amount_is_an_overrun() -> None:
    seen = Seen()
    seen.look((BUDGET,), (100,))
    assert (seen.overruns, seen.highest) == (0, {"key": 1.0})
    seen.look((BUDGET,), (101,))
    seen.look((BUDGET,), (50,))
    assert (seen.looks, seen.overruns, seen.highest) == (3, 1, {"key": 1.01})


def test_holds_add_up_in_every_counter_that_they_are_in() -> None:
    held = [Held("r/1", 5, ("a", "b")), Held("s/1", 7, ("b",))]
    assert by_counter(held) == Counter({"a": 5, "b": 12})


@pytest.mark.parametrize(
    ("order", "stream", "status", "body", "word"),
    [
        ("whole", False, 200, b"{}", "answered"),
        ("whole", True, 200, b"data: {}\n\ndata: [DONE]\n\n", "answered"),
        ("cut", True, 200, b"data: {}\n\n", "cut"),
        ("cut", False, 502, b'{"error":{"code":"upstream_cut"}}', "cut"),
        ("whole", False, 429, b'{"error":{"code":"insufficient_quota"}}', "refused"),
        ("busy", False, 429, b'{"error":{"code":null}}', "error"),
        ("whole", False, 429, b'{"error":{"code":"rate_limit_exceeded"}}', "other"),
        ("whole", False, 503, b"budgets cannot be counted at the moment", "unavailable"),
        ("whole", False, 500, b"{}", "other"),
    ],
)
def test_answers_are_told_apart(
    order: str, *, stream: bool, status: int, body: bytes, word: str
) -> None:
    kind = next(kind for kind in KINDS if (kind.order, kind.stream) == (order, stream))
    book = WallBook()
    book.add(Ask(b"", kind, 0, None), "req_1", status, body, whole=True)
    assert book.counts == Counter({word: 1})
    assert bool(book.wrong) == (word == "other")


def test_less_than_nothing_is_heard() -> None:
    book = WallBook()
    for left in (b"", b"0", b"0.000000001", b"-0.000000001"):
        book.hear(left)
    assert (book.told, book.negative) == (3, 1)


def test_the_most_of_any_minute() -> None:
    assert most_within([], 60) == 0
    assert most_within([0.0, 59.9, 60.0, 119.0], 60) == 3
    assert most_within([120.0, 0.0, 60.0], 60) == 1


def test_our_own_arithmetic() -> None:
    rates = Rates(input=2_000_000, output=6_000_000)
    assert rates.cost(Tokens(100, 10)) == 200 + 60
    assert rates.cost(Tokens(100, 10, cached=40, reasoning=10)) == 60 * 2 + 40 + 90
    assert Rates(2, 2).cost(Tokens(1, 0)) == 1


@pytest.mark.parametrize("seed", range(10))
def test_a_world_is_the_same_for_whoever_makes_it(seed: int) -> None:
    world = make(CALLS, seed)
    assert world.rates == make(CALLS, seed).rates
    demand = {Scope("key", "k000"): 10**9, Scope("global", ""): 10**10}
    walls = budgets(world, demand, seed)
    assert walls == budgets(world, demand, seed)
    assert {wall.scope for wall in walls} == set(demand)
    steps = places(CALLS, 10, seed)
    assert steps == sorted(steps)
    assert all(0 < step < CALLS for step in steps)
