"""What records become on the page that Prometheus reads, judged by Prometheus' own parsers."""

import re
from pathlib import Path

import pytest

from proxy.telemetry.exposition import dollars, wants_openmetrics
from proxy.telemetry.gauges import FAMILIES
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.options import Known, MetricsOptions
from proxy.wire.record import Usage
from tests.unit.telemetry.pages import ACCEPT_OPENMETRICS, samples, total, value
from tests.unit.telemetry.records import COST, FAILED, GOOD, KNOWN, attempt, record, refused

ROOT = Path(__file__).parents[3]
LABELS = {"model": "fast", "provider": "backup", "status": "200", "team": "blue"}
TIMING = {"model": "fast", "provider": "backup"}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(KNOWN, version="1.2.3")


def test_a_request_is_counted_with_its_labels(metrics: Metrics) -> None:
    metrics.observe(record())
    metrics.observe(record())
    assert value(metrics, "requests_total", **LABELS) == 2
    assert value(metrics, "build_info", version="1.2.3") == 1


@pytest.mark.parametrize(
    ("kind", "count"),
    [("input", 19), ("output", 41), ("cached_read", 3), ("cache_write", 2), ("reasoning", 5)],
)
def test_tokens_are_counted_by_type(metrics: Metrics, kind: str, count: int) -> None:
    metrics.observe(record())
    assert value(metrics, "tokens_total", type=kind, **LABELS) == count


def test_what_was_not_used_is_not_told(metrics: Metrics) -> None:
    metrics.observe(record())
    told = {dict(labels).get("type") for name, labels in samples(metrics) if "tokens" in name}
    assert "audio_in" not in told
    assert total(metrics, "images_total") == 0


def test_images_and_audio_are_counted(metrics: Metrics) -> None:
    metrics.observe(record(usage=Usage(input=7, audio_in=4, audio_out=9, images=2)))
    assert value(metrics, "images_total", **LABELS) == 2
    assert value(metrics, "tokens_total", type="audio_out", **LABELS) == 9


def test_money_is_exact_to_the_nano_dollar(metrics: Metrics) -> None:
    for nano in (1, 999_999_999_999_999_999, 10):
        metrics.observe(record(cost=nano))
    line = re.search(rb"llm_proxy_cost_usd_total{.*} (\S+)", metrics.render())
    assert line is not None
    assert line[1] == b"1000000000.00000001"


@pytest.mark.parametrize(
    ("nano", "text"), [(0, "0"), (5, "0.000000005"), (2_500_000_000, "2.5"), (-1, "-0.000000001")]
)
def test_dollars(nano: int, text: str) -> None:
    assert dollars(nano) == text


def test_an_unpriced_attempt_hides_no_other_ones_cost(metrics: Metrics) -> None:
    unpriced = attempt(cost=None)
    metrics.observe(record(cost=None, unpriced=True, attempts=(GOOD, unpriced)))
    assert value(metrics, "unpriced_requests_total", **LABELS) == 1
    assert value(metrics, "cost_usd_total", **LABELS) == COST.total / 1e9


def test_times_of_a_stream(metrics: Metrics) -> None:
    metrics.observe(record())
    found = {
        name: value(metrics, f"{name}_sum", **TIMING)
        for name in (
            "request_duration_seconds",
            "time_to_first_token_seconds",
            "time_per_output_token_seconds",
            "overhead_seconds",
        )
    }
    assert found == {
        "request_duration_seconds": 1.5,
        "time_to_first_token_seconds": 0.5,
        "time_per_output_token_seconds": 0.025,
        "overhead_seconds": 0.0003,
    }
    assert value(metrics, "overhead_seconds_bucket", le="0.00025", **TIMING) == 0
    assert value(metrics, "overhead_seconds_bucket", le="0.0005", **TIMING) == 1
    assert value(metrics, "request_duration_seconds_bucket", le="+Inf", **TIMING) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"stream": False},
        {"first_token": None},
    ],
)
def test_first_tokens_are_those_of_streams(metrics: Metrics, changes: dict[str, object]) -> None:
    metrics.observe(record(**changes))
    assert total(metrics, "time_to_first_token_seconds_count") == 0


@pytest.mark.parametrize("changes", [{"outcome": "upstream_cut"}, {"usage": Usage(output=1)}])
def test_a_pace_needs_a_whole_answer_of_two_tokens(
    metrics: Metrics, changes: dict[str, object]
) -> None:
    metrics.observe(record(**changes))
    assert total(metrics, "time_to_first_token_seconds_count") == 1
    assert total(metrics, "time_per_output_token_seconds_count") == 0


def test_refusals_by_reason(metrics: Metrics) -> None:
    metrics.observe(refused())
    metrics.observe(refused(code=None))
    metrics.observe(record(outcome="failed", status=502, error="connect"))
    assert value(metrics, "refusals_total", reason="invalid_api_key") == 1
    assert value(metrics, "refusals_total", reason="not_authenticated") == 1
    assert total(metrics, "refusals_total") == 2
    nobody = {"model": "fast", "provider": "none", "status": "401", "team": "blue"}
    assert value(metrics, "requests_total", **nobody) == 2


def test_the_labels_are_the_chosen_ones() -> None:
    metrics = Metrics(KNOWN, MetricsOptions(labels=("key", "operation", "outcome")))
    metrics.observe(record())
    chosen = {"key": "alice", "operation": "chat", "outcome": "completed"}
    assert value(metrics, "requests_total", **chosen) == 1
    assert value(metrics, "request_duration_seconds_count", operation="chat") == 1


def test_there_may_be_no_labels() -> None:
    metrics = Metrics(KNOWN, MetricsOptions(labels=()))
    metrics.observe(record())
    assert value(metrics, "requests_total") == 1
    assert value(metrics, "tokens_total", type="input") == 19
    assert value(metrics, "overhead_seconds_bucket", le="0.0001") == 0
    assert value(metrics, "overhead_seconds_count") == 1


def test_both_formats_say_the_same(metrics: Metrics) -> None:
    metrics.observe(record())
    metrics.observe(refused())
    metrics.gauges.set("in_flight", 3, "w1")
    assert samples(metrics) == samples(metrics, ACCEPT_OPENMETRICS)
    assert metrics.render(ACCEPT_OPENMETRICS).endswith(b"\n# EOF\n")
    assert metrics.content_type(ACCEPT_OPENMETRICS).startswith("application/openmetrics-text")
    assert metrics.content_type().startswith("text/plain")


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3", True),
        ("application/openmetrics-text;q=0.2,text/plain", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=x", False),
    ],
)
def test_openmetrics_is_given_to_who_prefers_it(accept: str, openmetrics: bool) -> None:
    assert wants_openmetrics(accept) is openmetrics


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a{b}", "größe", "a,b=c", "\\n"])
def test_names_are_escaped(name: str) -> None:
    metrics = Metrics(Known(models=frozenset((name,))), MetricsOptions(labels=("model",)))
    metrics.observe(record(route=name))
    assert value(metrics, "requests_total", model=name) == 1
    assert samples(metrics) == samples(metrics, ACCEPT_OPENMETRICS)


def test_gauges_are_set_replaced_and_refreshed(metrics: Metrics) -> None:
    metrics.gauges.set("spool_lag_records", 12)
    metrics.gauges.replace("in_flight", {"w1": 1, "w2": 2})
    metrics.gauges.replace("in_flight", {"w3": 3})
    metrics.before_render("spool", lambda: metrics.gauges.set("spool_lag_records", 13))
    assert value(metrics, "spool_lag_records") == 13
    assert value(metrics, "in_flight", worker="w3") == total(metrics, "in_flight") == 3


@pytest.mark.parametrize(
    ("name", "child"),
    [
        ("nothing", ()),
        ("in_flight", ()),
        ("in_flight", ("w", "x")),
        ("target_workers", "open"),
        ("spool_lag_records", "w"),
    ],
)
def test_a_gauge_that_is_not_in_the_table_is_refused(
    metrics: Metrics, name: str, child: str | tuple[str, ...]
) -> None:
    with pytest.raises(KeyError):
        metrics.gauges.set(name, 1, child)


def test_every_family_is_documented_and_no_other(metrics: Metrics) -> None:
    other = attempt(route="openai/*", hedge=True, rescue="prefill")
    last = attempt(route="openai/*")
    metrics.observe(record(attempts=(FAILED, FAILED, last, other), usage=Usage(1, 2, images=1)))
    metrics.observe(refused())
    for name, family in FAMILIES.items():
        metrics.gauges.set(name, 1, ("x",) * len(family.labels))
    told = set(re.findall(r"^# TYPE (\w+)", metrics.render().decode(), re.M))
    documented = re.findall(r"^\| `(llm_proxy_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.M)
    assert sorted(told) == sorted(documented)
