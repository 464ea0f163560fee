"""How an export ends, and the port that a way to a collector has.

There are two ways, HTTP and gRPC; what they have in common is here: what is sent where, what its
answer means. A collector's answer is data, never an exception.
"""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from proxy.base.clock import wall

LONGEST_WAIT = 300.0


class Signal(Enum):
    """What is exported: the path over HTTP, the method over gRPC."""

    TRACES = ("/v1/traces", "trace.v1.TraceService")
    METRICS = ("/v1/metrics", "metrics.v1.MetricsService")

    @property
    def word(self) -> str:
        return self.name.lower()

    @property
    def path(self) -> str:
        return self.value[0]

    @property
    def method(self) -> str:
        return f"/opentelemetry.proto.collector.{self.value[1]}/Export"


@dataclass(frozen=True, slots=True)
class Taken:
    """The collector has it, but for `rejected` spans or points."""

    rejected: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: `after` is the collector's own word for when, in seconds."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Never:
    """The collector will not take it, however often it is sent."""

    reason: str


Verdict = Taken | Later | Never


class Way(Protocol):
    """To a collector."""

    async def send(self, signal: Signal, body: bytes) -> Verdict:
        """Send an encoded export request. Raises nothing that a collector can cause."""

    async def close(self) -> None:
        """Close connections."""


def taken(signal: Signal, answer: bytes) -> Taken:
    """The meaning of a good answer: some of it may have been rejected all the same."""
    try:
        if signal is Signal.TRACES:
            spans = ExportTraceServiceResponse.FromString(answer).partial_success
            return Taken(spans.rejected_spans, spans.error_message)
        points = ExportMetricsServiceResponse.FromString(answer).partial_success
        return Taken(points.rejected_data_points, points.error_message)
    except DecodeError:
        return Taken(reason="the answer is no protobuf")


def stays_here(endpoint: str) -> bool:
    """Whether the collector is on this machine: what it is sent need not be made smaller."""
    host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False  # Another name.


def retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, within reason; None when it says nothing."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return min(float(value), LONGEST_WAIT)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - wall()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), LONGEST_WAIT)
