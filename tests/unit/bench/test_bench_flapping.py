"""The flapping run: how failures are spread, what is compared, and one small run to its verdict."""

import pytest

from bench.children import ChildFailed
from bench.flapping import Rise, Run, main, rises
from bench.flapping_load import Heard
from bench.flapping_vendor import Share


def test_failures_are_spread_evenly_and_in_turn() -> None:
    share = Share()
    share.set(0.3)
    ways = [share.next() for _ in range(1000)]
    assert 299 <= share.failed <= 300 and share.asked == 1000
    assert all(2 <= 10 - ways[at : at + 10].count(None) <= 4 for at in range(0, 1000, 10))
    failed = [way for way in ways if way is not None]
    assert failed[:6] == ["status", "reset", "cut"] * 2
    share.set(0.0)
    assert {share.next() for _ in range(100)} == {None}


def run(milliseconds: float) -> Run:
    times = [milliseconds / 1000] * 200
    return Run(Heard(plain=times, first_tokens=times), 400, 0)


@pytest.mark.parametrize(("after", "good"), [(2.0, True), (3.9, True), (4.1, False)])
def test_the_median_may_rise_by_one_retry(after: float, good: bool) -> None:
    found = rises(run(2.0), run(after))
    assert [rise.name for rise in found] == ["plain", "first_tokens"]
    assert [rise.good for rise in found] == [good] * 2
    assert found[0].added == pytest.approx(after - 2)


def test_too_little_says_nothing() -> None:
    with pytest.raises(ChildFailed, match="too few"):
        rises(run(2.0), Run(Heard(plain=[0.1]), 1, 0))


def test_a_rise_is_of_the_median() -> None:
    assert Rise("plain", (1.0, 5.0), (1.5, 500.0)).good


def test_a_small_run_has_no_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """What the medians of one second say is of the machine; what callers see is not."""
    assert main(["--rate", "250", "--seconds", "1.2", "--warm", "0.2"]) in {0, 1}
    said = capsys.readouterr().out
    assert "callers: 300 asked, 0 errors" in said
    assert "failed 9" in said or "failed 1" in said
