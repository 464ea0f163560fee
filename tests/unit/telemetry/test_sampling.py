"""Traces are chosen by their id, the same everywhere; a caller's word comes first."""

import random

import pytest

from proxy.telemetry.sampling import Sampling
from tests.unit.telemetry.records import CALLER, record

LOW, HIGH = "a" * 18 + "0" * 14, "0" * 17 + "1" + "f" * 14


@pytest.mark.parametrize(
    ("ratio", "trace", "takes"),
    [(1.0, LOW, True), (0.0, HIGH, False), (0.5, LOW, False), (0.5, HIGH, True), (2.0, LOW, True)],
)
def test_a_root_is_taken_by_its_id(ratio: float, trace: str, takes: bool) -> None:
    assert Sampling(ratio).takes(record(parent=None, trace=trace)) is takes


@pytest.mark.parametrize(("ratio", "sampled"), [(0.0, True), (1.0, False)])
def test_the_callers_word_comes_first(ratio: float, sampled: bool) -> None:
    assert Sampling(ratio).takes(record(parent=CALLER, sampled=sampled)) is sampled


@pytest.mark.parametrize("changes", [{"trace": None}, {"span": None}, {"sampled": False}])
def test_without_ids_or_wish_there_is_nothing_to_take(changes: dict[str, object]) -> None:
    assert Sampling(1.0).takes(record(parent=None, **changes)) is False


def test_the_part_is_about_the_ratio_and_grows_with_it() -> None:
    traces = [f"{random.Random(number).getrandbits(128):032x}" for number in range(2_000)]
    some = {t for t in traces if Sampling(0.1).takes(record(parent=None, trace=t))}
    more = {t for t in traces if Sampling(0.3).takes(record(parent=None, trace=t))}
    assert 120 <= len(some) <= 280
    assert some < more
