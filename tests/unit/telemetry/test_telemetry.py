"""The front: nothing that goes wrong inside is felt by who calls `observe`."""

import asyncio
import logging
import sys

import pytest

from proxy.telemetry.exposition import Exposition
from proxy.telemetry.options import MetricsOptions, OtlpOptions, TelemetryOptions, headers_of
from proxy.telemetry.telemetry import MissingExtra, build
from tests.unit.telemetry.exporting import exporting
from tests.unit.telemetry.pages import total, value
from tests.unit.telemetry.records import EXAMPLE, KNOWN, record


async def test_a_record_that_nobody_thought_of_is_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    telemetry = exporting("http://127.0.0.1:1", pace={"last_words": 0.01})
    nonsense = record(attempts=5, done="x")
    with caplog.at_level(logging.ERROR):
        for _ in range(8):
            telemetry.observe(nonsense)
    assert value(telemetry.metrics, "telemetry_failures_total") == 16
    assert [each.getMessage() for each in caplog.records][:2] == [
        "req_1 could not be counted",
        "req_1 could not be traced",
    ]
    assert len(caplog.records) == 5  # The first, second, fourth, eighth and sixteenth.
    await telemetry.close()


async def test_without_a_collector_it_counts_and_waits() -> None:
    telemetry = build(TelemetryOptions(known=KNOWN))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(telemetry.run())
        telemetry.observe(EXAMPLE)
        await asyncio.sleep(0)
        assert not running.done()
        await telemetry.close()
    assert total(telemetry.metrics, "requests_total") == 1
    assert total(telemetry.metrics, "otlp_spans_total") == 0


async def test_a_reload_goes_on_counting() -> None:
    before = exporting("http://127.0.0.1:1", pace={"last_words": 0.01})
    before.observe(EXAMPLE)
    assert value(before.metrics, "otlp_queue_records") == 1
    after = build(TelemetryOptions(known=KNOWN), metrics=before.metrics)
    after.observe(EXAMPLE)
    assert after.metrics is before.metrics
    assert total(after.metrics, "requests_total") == 2
    assert value(after.metrics, "telemetry_failures_total") == 0
    assert total(after.metrics, "otlp_queue_records") == 0
    await before.close()


def test_a_reload_may_change_the_labels() -> None:
    before = build(TelemetryOptions(known=KNOWN))
    before.observe(EXAMPLE)
    chosen = MetricsOptions(labels=("key",))
    after = build(TelemetryOptions(known=KNOWN, metrics=chosen), metrics=before.metrics)
    after.observe(EXAMPLE)
    assert value(after.metrics, "requests_total", key="alice") == 1
    assert total(after.metrics, "requests_total") == 1


def test_an_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "proxy.telemetry.otlp_grpc", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtra, match=r"llm-proxy\[otlp-grpc\]"):
        build(TelemetryOptions(otlp=OtlpOptions("http://127.0.0.1:1", protocol="grpc")))


def test_credentials_of_the_collector_do_not_show() -> None:
    options = TelemetryOptions(otlp=OtlpOptions("http://x", headers={"api-key": "canary"}))
    assert "canary" not in repr(options)


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("", {}),
        ("api-key=abc", {"api-key": "abc"}),
        (" A=1 , b = x%2Cy%3D ,", {"a": "1", "b": "x,y="}),
        ("authorization=Basic a==", {"authorization": "Basic a=="}),
    ],
)
def test_headers_as_opentelemetry_writes_them(text: str, headers: dict[str, str]) -> None:
    assert headers_of(text) == headers


@pytest.mark.parametrize("text", ["abc", "=x", "a=1,b"])
def test_headers_that_are_no_pairs_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be written as name=value"):
        headers_of(text)


def test_a_family_without_samples_is_not_told() -> None:
    page = Exposition()
    page.family("requests_total", "counter", "Requests.", ())
    assert page.text() == b""
