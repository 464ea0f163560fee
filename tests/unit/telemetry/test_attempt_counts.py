"""What is counted of several attempts: retries, failovers, fallbacks, hedges and rescues."""

import pytest

from proxy.telemetry.attempt_counts import moves
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.options import Known
from proxy.telemetry.targets import target_states
from proxy.wire.record import AttemptRecord
from tests.unit.telemetry.pages import samples, total, value
from tests.unit.telemetry.records import FAILED, GOOD, KNOWN, attempt, record

ELSEWHERE = "openai/*"  # Another configured model than that of the records, `fast`.


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(KNOWN)


def tried(started: int, **changes: object) -> AttemptRecord:
    """A try at the main provider that failed, unless it is said otherwise."""
    usual: dict[str, object] = {
        "provider": "main",
        "model": "gpt-4o",
        "ended": started + 10,
        "error": "status",
        "reason": "server",
        "first_byte": None,
    }
    return attempt(started=started, **{**usual, **changes})


def answered(started: int, **changes: object) -> AttemptRecord:
    said: dict[str, object] = {"error": None, "reason": None, "first_byte": started + 1}
    return tried(started, **{**said, **changes})


def counted(metrics: Metrics, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted(labels)): count
        for (found, labels), count in samples(metrics).items()
        if found == f"llm_proxy_{name}"
    }


def test_attempts_by_provider_model_and_reason(metrics: Metrics) -> None:
    metrics.observe(record(attempts=(FAILED, FAILED, GOOD)))
    metrics.observe(record(attempts=(attempt(route=ELSEWHERE),)))
    at = {"provider": "backup", "reason": "none"}
    assert value(metrics, "attempts_total", provider="main", model="fast", reason="overloaded") == 2
    assert value(metrics, "attempts_total", model="fast", **at) == 1
    assert value(metrics, "attempts_total", model=ELSEWHERE, **at) == 1


def test_the_same_target_again_is_a_retry_and_another_a_failover(metrics: Metrics) -> None:
    metrics.observe(record(attempts=(FAILED, FAILED, GOOD)))
    assert value(metrics, "retries_total", provider="main", reason="overloaded") == 1
    assert value(metrics, "failovers_total", provider="main", reason="overloaded") == 1
    assert total(metrics, "retries_total") == total(metrics, "failovers_total") == 1
    assert counted(metrics, "fallback_total") == {}


def test_another_model_is_a_fallback(metrics: Metrics) -> None:
    last = answered(40, provider="backup", route=ELSEWHERE)
    metrics.observe(record(attempts=(tried(0), tried(20, provider="backup"), last)))
    labels = {"from": "fast", "to": ELSEWHERE, "reason": "server"}
    assert counted(metrics, "fallback_total") == {tuple(sorted(labels.items())): 1}
    assert value(metrics, "failovers_total", provider="main", reason="server") == 1
    assert value(metrics, "failovers_total", provider="backup", reason="server") == 1
    assert total(metrics, "retries_total") == 0


def test_a_model_none_of_whose_targets_was_asked_was_left_too(metrics: Metrics) -> None:
    metrics.observe(record(attempts=(answered(0, route=ELSEWHERE),)))
    labels = {"from": "fast", "to": ELSEWHERE, "reason": "not_tried"}
    assert counted(metrics, "fallback_total") == {tuple(sorted(labels.items())): 1}
    assert total(metrics, "failovers_total") == 0


def test_a_fallback_goes_on_from_a_fallback(metrics: Metrics) -> None:
    metrics.observe(record(attempts=(tried(0, route="a"), answered(20, route=ELSEWHERE))))
    found = {
        dict(labels)["from"]: dict(labels)["to"] for labels in counted(metrics, "fallback_total")
    }
    assert found == {"fast": "other", "other": ELSEWHERE}


HEDGES = {
    "the second was quicker": (
        (tried(0, error="hedged", reason=None), answered(5, hedge=True)),
        "true",
    ),
    "the first was": (
        (tried(5, error="hedged", reason=None, hedge=True), answered(0)),
        "false",
    ),
    "the first was, by a hair": (
        (tried(5, error="hedged", reason=None, hedge=True, first_byte=9), answered(0)),
        "false",
    ),
    "the second failed": ((tried(5, hedge=True), answered(0)), "false"),
    "the first failed": ((tried(0), answered(5, hedge=True)), "true"),
}


@pytest.mark.parametrize(("attempts", "won"), HEDGES.values(), ids=HEDGES)
def test_what_ran_beside_is_a_hedge_and_no_move(
    metrics: Metrics, attempts: tuple[AttemptRecord, ...], won: str
) -> None:
    metrics.observe(record(attempts=attempts))
    assert counted(metrics, "hedges_total") == {(("won", won),): 1}
    for name in ("retries_total", "failovers_total", "fallback_total"):
        assert total(metrics, name) == 0


def test_what_follows_a_hedge_follows_the_one_that_was_relayed() -> None:
    first, lost = answered(0, error="cut"), tried(5, provider="backup", error="hedged", hedge=True)
    last = answered(30, provider="backup", rescue="restart")
    assert list(moves((lost, first, last))) == [(first, last)]
    failed, beside = tried(0), tried(5, provider="backup", hedge=True)
    assert list(moves((failed, beside, last))) == [(beside, last)]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "completed"),
        ("cut", "failed"),
        ("diverged", "failed"),
        ("client_gone", "client_gone"),
    ],
)
def test_rescues_by_kind_and_outcome(metrics: Metrics, error: str | None, outcome: str) -> None:
    last = answered(20, rescue="prefill", error=error)
    metrics.observe(record(attempts=(answered(0, error="cut"), last)))
    assert value(metrics, "rescues_total", kind="prefill", outcome=outcome) == 1
    assert total(metrics, "rescues_total") == 1


def test_models_that_a_reload_took_are_not_told_any_more(metrics: Metrics) -> None:
    metrics.observe(record(attempts=(tried(0), answered(20, route=ELSEWHERE))))
    metrics.observe(record(attempts=(tried(0), tried(20), answered(40))))
    metrics.reload(Known(models=frozenset(("fast",)), providers=KNOWN.providers))
    assert total(metrics, "fallback_total") == 0
    assert total(metrics, "retries_total") == 2
    assert all(dict(labels)["model"] == "fast" for labels in counted(metrics, "attempts_total"))


def said(model: str, provider: str, target: str, status: str) -> dict[str, object]:
    return {"route": model, "provider": provider, "model": target, "status": status, "why": None}


def test_workers_are_counted_by_what_they_see_of_a_target(metrics: Metrics) -> None:
    seen = (
        said("fast", "main", "gpt-4o", "open"),
        said("fast", "main", "gpt-4o", "open"),
        said("fast", "main", "gpt-4o", "closed"),
        said(ELSEWHERE, "main", "what-a-caller-wrote", "closed"),
        said(ELSEWHERE, "main", "what-another-wrote", "closed"),
        said("gone", "gone", "gpt-4o", "strange"),
    )
    assert target_states(seen, metrics.read) == {
        ("fast", "main", "gpt-4o", "open"): 2,
        ("fast", "main", "gpt-4o", "closed"): 1,
        (ELSEWHERE, "main", "other", "closed"): 2,
        ("other", "other", "gpt-4o", "other"): 1,
    }


def test_a_gauge_of_several_labels(metrics: Metrics) -> None:
    metrics.gauges.set("rule_failures_total", 3, ("long", "w1"))
    metrics.gauges.set("rule_failures_total", 4, ("long", "w2"))
    assert value(metrics, "rule_failures_total", rule="long", worker="w2") == 4
    assert total(metrics, "rule_failures_total") == 7
