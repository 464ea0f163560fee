"""Processes are killed and PostgreSQL is stopped under load: no record is lost, none counts twice.

The run of `python -m bench.faults`, smaller: real processes, a real database, SIGKILL. Its audit is
tested beside it, so that a run that is called good is one.
"""

from collections import Counter
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pytest
import uvloop

from bench.faults_answers import Answer, Book
from bench.faults_audit import Books, Row, Sums, Verdict, judge, sums
from bench.faults_load import Pace
from bench.faults_plan import draw
from bench.faults_requests import Used
from bench.faults_run import Plan, run
from tests.fakes.postgres import data_dir

__all__ = ["data_dir"]

REQUESTS = 1500


def test_whatever_is_killed_every_answer_has_its_record_once(data_dir: Path) -> None:
    pace = Pace(REQUESTS, rate=500, silence=15)
    # With this seed control dies last: a PostgreSQL that dies while it starts is left for 30 s.
    plan = Plan(pace, kills=2, seed=8, stopped=1, drain=20)
    with ExitStack() as stack:
        found = uvloop.run(run(plan, stack, data_dir))
    verdict = found.verdict
    assert verdict.good, "\n".join([*verdict.examples(), found.log])
    assert found.drained
    assert "Traceback" not in found.log
    victims = {done.step.what for done in found.done}
    assert victims == {"kill control", "kill worker", "kill postgres", "stop postgres"}
    assert found.book.ends.total() == REQUESTS
    assert found.book.wrong == {}
    assert verdict.recorded == verdict.answered > REQUESTS * 0.9
    assert verdict.cost_by_clients == verdict.cost_in_rows > 0


USED = Used(100, 20, 40, 5)
ROW = Row("a", "caller-000", 200, "completed", USED.cost(), 100, 20, 40, 5)


def found_by_audit(rows: list[Row], hours: Sums) -> Verdict:
    """The verdict on one answer, `a`, which is as in ROW."""
    book = Book()
    book.answers["a"] = Answer("caller-000", 200, "whole", USED.cost(), USED)
    counted = Sums(len(rows), sum(row.cost or 0 for row in rows), 0, 0)
    return judge(book, Books(rows, {"caller-000": counted}, {"caller-000": hours}))


def test_what_agrees_is_good() -> None:
    verdict = found_by_audit([ROW], Sums(1, USED.cost(), 0, 0))
    assert verdict.good
    assert (verdict.answered, verdict.recorded, verdict.other_rows) == (1, 1, 0)


def test_rows_of_the_unanswered_are_allowed_and_counted() -> None:
    other = ROW._replace(id="b", cost=7)
    verdict = found_by_audit([ROW, other], Sums(2, USED.cost() + 7, 0, 0))
    assert verdict.good
    assert verdict.other_rows == 1
    assert verdict.cost_of_all_rows - verdict.cost_in_rows == 7


@pytest.mark.parametrize(
    ("rows", "hours", "says"),
    [
        ([], Sums(0, 0, 0, 0), "missing"),
        ([ROW, ROW], Sums(2, 2 * USED.cost(), 0, 0), "more than one row"),
        ([ROW._replace(cost=1)], Sums(1, 1, 0, 0), "cost 1 in the store"),
        ([ROW._replace(cost=None)], Sums(1, 0, 0, 0), "cost None in the store"),
        ([ROW._replace(output=21)], Sums(1, USED.cost(), 0, 0), "tokens"),
        ([ROW._replace(key="caller-001")], Sums(1, USED.cost(), 0, 0), "caller-001 in the store"),
        ([ROW._replace(outcome="failed")], Sums(1, USED.cost(), 0, 0), "failed in the store"),
        ([ROW], Sums(2, USED.cost(), 0, 0), "in hours"),
        ([ROW], Sums(1, USED.cost() + 1, 0, 0), "in hours"),
    ],
)
def test_what_is_wrong_is_found(rows: list[Row], hours: Sums, says: str) -> None:
    verdict = found_by_audit(rows, hours)
    assert not verdict.good
    assert any(says in example for example in verdict.examples())


@pytest.mark.parametrize(
    ("used", "due"),
    [
        (Used(1, 0, 0, 0), 124),  # 123.7, rounded up.
        (Used(10, 0, 10, 0), 619),  # 10 x 61.9, exact.
        (Used(100, 20, 40, 5), 60 * 1237 // 10 + 40 * 619 // 10 + 15001 + 7502),
    ],
)
def test_our_own_arithmetic(used: Used, due: int) -> None:
    assert used.cost() == due


@pytest.mark.parametrize("seed", range(20))
def test_each_process_is_killed_and_all_within_the_run(seed: int) -> None:
    steps = draw(REQUESTS, 10, seed)
    counted = Counter(step.what for step in steps)
    assert counted["kill control"] + counted["kill worker"] == 10
    assert min(counted["kill control"], counted["kill worker"]) >= 1
    assert counted["kill postgres"] == counted["stop postgres"] == 1
    places = [step.at for step in steps]
    assert places == sorted(places)
    assert all(0 < place < REQUESTS for place in places)


def test_a_sum_is_read_however_it_is_written() -> None:
    assert sums(("key", 2, Decimal("1E+4"), Decimal(3), 4)) == Sums(2, 10_000, 3, 4)
