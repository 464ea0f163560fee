"""An OTLP collector on a real socket: the scripted vendor, and how to read what it was sent."""

import gzip
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.common.v1.common_pb2 import KeyValue as Pair
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from proxy.base.tasks import Tasks
from proxy.telemetry.telemetry import Telemetry
from tests.fakes.http_in import Request
from tests.fakes.script import Reply
from tests.fakes.vendor import Vendor

PROTOBUF = ("content-type", "application/x-protobuf")
TAKEN = Reply(status=200, headers=[PROTOBUF])


class Collector(Vendor):
    """Takes everything, unless it was told to `say` something else."""

    def __init__(self) -> None:
        super().__init__()
        self.always(TAKEN)

    def traces(self) -> list[ExportTraceServiceRequest]:
        """The export requests for spans that arrived so far."""
        return [
            ExportTraceServiceRequest.FromString(body_of(request))
            for request in self.requests
            if request.target.endswith("/v1/traces")
        ]

    def spans(self) -> list[Span]:
        """All spans of all requests that arrived, also those that were answered with an error."""
        return [
            span
            for request in self.traces()
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> dict[str, Metric]:
        """The metrics told last, by name."""
        return {
            metric.name: metric
            for request in self.requests
            if request.target.endswith("/v1/metrics")
            for resource in ExportMetricsServiceRequest.FromString(
                body_of(request)
            ).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


class Running:
    """Telemetry whose `run` runs while the block lasts."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        self._task = self._tasks.spawn(self._telemetry.run(), name="telemetry")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._telemetry.close()
        await self._task


def body_of(request: Request) -> bytes:
    """The body, unpacked."""
    coding = request.header("content-encoding")
    assert coding in {None, "gzip"}
    return request.body if coding is None else gzip.decompress(request.body)


def plain(value: AnyValue) -> object:
    """The value of an attribute in Python's types."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(plain(each) for each in value.array_value.values)
    assert kind is not None
    return getattr(value, kind)


def attributes(pairs: "list[Pair]") -> dict[str, object]:
    """Attributes by name; one that is there twice fails."""
    found = {pair.key: plain(pair.value) for pair in pairs}
    assert len(found) == len(pairs)
    return found
