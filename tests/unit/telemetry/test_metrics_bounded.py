"""However many names callers and vendors think of, the number of series stays what it may be."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.verdicts import REASONS
from proxy.telemetry.attempt_counts import NOT_TRIED
from proxy.telemetry.bounded import Bounded
from proxy.telemetry.gauges import CHILDREN
from proxy.telemetry.labels import ERROR_KINDS, OUTCOMES
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.options import Known, Label, MetricsOptions
from proxy.telemetry.series import Tally
from proxy.wire.record import UsageRecord
from tests.examples import examples
from tests.unit.telemetry.pages import samples, total, value
from tests.unit.telemetry.records import KNOWN, attempt, record

ALL: tuple[Label, ...] = get_args(Label)

words = st.text(max_size=8) | st.sampled_from(("fast", "main", "backup", "blue", "alice", "other"))
maybe = st.none() | words
statuses = st.integers(-5, 1200)
attempts = st.builds(
    attempt,
    provider=words,
    model=words,
    status=statuses,
    error=maybe | st.sampled_from(("connect", "hedged")),
    reason=maybe | st.sampled_from(("rate_limit", "hedged")),
    route=maybe,
    rescue=maybe | st.sampled_from(("prefill", "restart")),
    hedge=st.booleans(),
    started=st.integers(0, 9),
)
records = st.builds(
    record,
    key=words,
    team=maybe,
    model=maybe,
    route=maybe,
    served_provider=maybe,
    operation=words,
    status=statuses,
    outcome=words | st.sampled_from(sorted(OUTCOMES)),
    code=maybe,
    attempts=st.lists(attempts, max_size=3).map(tuple),
)

FIXED = {"other", "none"}
VOCABULARIES: dict[str, frozenset[str]] = {
    "model": KNOWN.models | FIXED,
    "provider": KNOWN.providers | FIXED,
    "team": KNOWN.teams | FIXED,
    "key": KNOWN.keys | FIXED,
}


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(records, max_size=30))
def test_labels_come_from_closed_vocabularies(found: list[UsageRecord]) -> None:
    metrics = Metrics(KNOWN, MetricsOptions(labels=ALL))
    for each in found:
        metrics.observe(each)
    assert total(metrics, "requests_total") == len(found)
    for name, labels in samples(metrics):
        for label, told in labels:
            assert told in VOCABULARIES.get(label, {told})
            if label == "status":
                assert told.isdecimal() or told in {"other", *(f"{n}xx" for n in range(1, 6))}
            if label == "outcome":
                assert told in OUTCOMES | ERROR_KINDS | FIXED
            if label == "reason" and "refusals" not in name:
                assert told in ERROR_KINDS | REASONS | FIXED | {NOT_TRIED}
            if label in {"from", "to"}:
                assert told in VOCABULARIES["model"]
            if label in {"kind", "won"}:
                assert told in {"prefill", "restart", "other", "true", "false"}


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(records, max_size=40), st.integers(1, 6))
def test_tables_keep_their_size_and_lose_nothing(found: list[UsageRecord], size: int) -> None:
    metrics = Metrics(KNOWN, MetricsOptions(labels=ALL, label_sets=size, timing_sets=size))
    for each in found:
        metrics.observe(each)
    told = samples(metrics)
    for name in ("requests_total", "attempts_total", "request_duration_seconds_count"):
        series = [labels for found_name, labels in told if found_name == f"llm_proxy_{name}"]
        assert len(series) <= size
    assert total(metrics, "requests_total") == len(found)
    assert total(metrics, "request_duration_seconds_count") == len(found)
    assert total(metrics, "attempts_total") == sum(len(each.attempts) for each in found)


def test_what_is_folded_is_counted() -> None:
    metrics = Metrics(KNOWN, MetricsOptions(labels=("team",), label_sets=2))
    for team in ("blue", "green", "green", None):
        metrics.observe(record(team=team, attempts=()))
    assert value(metrics, "requests_total", team="blue") == 1
    assert value(metrics, "requests_total", team="other") == 3
    assert value(metrics, "metrics_folded_total") == 3


def test_a_junk_model_is_other_and_not_none() -> None:
    metrics = Metrics(KNOWN, MetricsOptions(labels=("model",)))
    metrics.observe(record(route=None, model="junk"))
    metrics.observe(record(route=None, model=None))
    assert value(metrics, "requests_total", model="other") == 1
    assert value(metrics, "requests_total", model="none") == 1


def test_reasons_of_refusal_are_bounded_too() -> None:
    metrics = Metrics(KNOWN)
    for number in range(500):
        metrics.observe(record(outcome="refused", code=f"code-{number}"))
    told = [labels for name, labels in samples(metrics) if name == "llm_proxy_refusals_total"]
    assert len(told) == 64
    assert total(metrics, "refusals_total") == 500


def test_gauges_are_bounded() -> None:
    metrics = Metrics(KNOWN)
    metrics.gauges.replace("in_flight", {f"w{number}": 1 for number in range(CHILDREN + 5)})
    assert total(metrics, "in_flight") == CHILDREN
    assert value(metrics, "metrics_folded_total") == 5


def test_a_reload_makes_room_for_the_new_names() -> None:
    metrics = Metrics(KNOWN, MetricsOptions(labels=("team",), label_sets=3))
    metrics.observe(record(team="blue"))
    metrics.observe(record(team="green"))
    metrics.reload(Known(teams=frozenset(("green", "red")), providers=KNOWN.providers))
    metrics.observe(record(team="red"))
    metrics.observe(record(team="blue"))
    found = {t: value(metrics, "requests_total", team=t) for t in ("green", "red", "other")}
    assert found == {"green": 1, "red": 1, "other": 1}
    assert total(metrics, "requests_total") == 3


@pytest.mark.parametrize("turns", [50])
def test_reloads_without_end_do_not_fill_the_tables(turns: int) -> None:
    metrics = Metrics(KNOWN, MetricsOptions(labels=("team",), label_sets=5))
    for turn in range(turns):
        metrics.reload(Known(teams=frozenset((f"t{turn}",))))
        metrics.observe(record(team=f"t{turn}"))
        assert value(metrics, "requests_total", team=f"t{turn}") == 1
    assert value(metrics, "metrics_folded_total") == 0


def test_the_common_place_is_part_of_the_size() -> None:
    table = Bounded(Tally, width=1, size=3)
    for word in ("a", "b", "c", "d"):
        table.at((word,)).count += 1
    assert {key[0]: tally.count for key, tally in table.items()} == {"a": 1, "b": 1, "other": 2}
    assert table.folded == 2
