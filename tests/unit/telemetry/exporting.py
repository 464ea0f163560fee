"""Telemetry that exports to a test's collector, at a pace that tests can wait for."""

from typing import Any

from proxy.telemetry.options import OtlpOptions, Pace, TelemetryOptions
from proxy.telemetry.telemetry import Telemetry, build
from proxy.wire.record import UsageRecord
from tests.unit.telemetry.records import KNOWN, VENDORS, record

QUICK = {"flush": 0.01, "first_backoff": 0.01, "longest_backoff": 0.05, "last_words": 2.0}


def exporting(endpoint: str, *, pace: dict[str, Any] | None = None, **otlp: Any) -> Telemetry:
    """With the example's names and vendors; metrics are exported only if asked for."""
    speed = Pace(**{**QUICK, **(pace or {})})
    options = OtlpOptions(endpoint, pace=speed, **{"metrics": False, **otlp})
    return build(
        TelemetryOptions(
            known=KNOWN,
            vendors=VENDORS,
            otlp=options,
            version="1.2.3",
            instance="i-1",
            resource={"deployment.environment.name": "test"},
        )
    )


def numbered(number: int) -> UsageRecord:
    """The example as one of many requests: three spans."""
    return record(id=f"req_{number}", span=f"{number + 1:016x}")
