"""OTLP over gRPC, judged by a server of grpcio on a real socket."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import ListValue, Value
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from proxy.telemetry.delivery import Later, Never, Signal, Taken
from proxy.telemetry.otlp_grpc import GrpcWay
from tests.fakes.tally import Tally
from tests.unit.telemetry.collector import Running
from tests.unit.telemetry.exporting import exporting
from tests.unit.telemetry.pages import value
from tests.unit.telemetry.records import EXAMPLE

_DETAILS = "grpc-status-details-bin"


@dataclass
class GrpcCollector:
    """Takes bodies as they are; `say` makes it fail the next call."""

    port: int = 0
    methods: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    arrived: Tally = field(default_factory=Tally)
    said: deque[tuple[grpc.StatusCode, str, bytes]] = field(default_factory=deque)

    def say(self, code: grpc.StatusCode, details: str = "", status: bytes = b"") -> None:
        self.said.append((code, details, status))

    def service(self, call: Any) -> Any:
        """The handler of any method."""

        async def export(body: bytes, context: Any) -> bytes:
            self.methods.append(call.method)
            self.bodies.append(body)
            self.metadata.append(dict(context.invocation_metadata()))
            self.arrived.add()
            if self.said:
                code, details, status = self.said.popleft()
                trailer = ((_DETAILS, status),) if status else ()
                await context.abort(code, details, trailer)
            return ExportTraceServiceResponse().SerializeToString()

        return grpc.unary_unary_rpc_method_handler(export)


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, collector: GrpcCollector) -> None:
        self._collector = collector

    def service(self, call: Any) -> Any:
        return self._collector.service(call)


@pytest.fixture
async def collector() -> AsyncIterator[GrpcCollector]:
    # Once more than is taken back: else the collection of grpcio's last object ends a thread, and
    # waits for it, in the midst of whatever test runs then.
    grpc.aio.init_grpc_aio()
    found = GrpcCollector()
    server = grpc.aio.server(handlers=[_Handler(found)])
    found.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield found
    await server.stop(None)


def way_to(collector: GrpcCollector, scheme: str = "") -> GrpcWay:
    return GrpcWay(f"{scheme}127.0.0.1:{collector.port}", {}, timeout=5, agent="x")


def field_bytes(number: int, data: bytes) -> bytes:
    """A field of a protobuf, for messages that no package of ours has."""
    assert len(data) < 128
    return bytes((number << 3 | 2, len(data))) + data


def retry_info(seconds: int, nanos: int = 0) -> bytes:
    """A google.rpc.Status with a RetryInfo."""
    delay = Duration(seconds=seconds, nanos=nanos).SerializeToString()
    detail = AnyMessage(
        type_url="type.googleapis.com/google.rpc.RetryInfo", value=field_bytes(1, delay)
    )
    return field_bytes(2, b"slow down") + field_bytes(3, detail.SerializeToString())


async def test_spans_arrive(collector: GrpcCollector) -> None:
    telemetry = exporting(
        f"http://127.0.0.1:{collector.port}", protocol="grpc", headers={"X-Tenant": "blue"}
    )
    async with Running(telemetry):
        telemetry.observe(EXAMPLE)
        await collector.arrived.wait()
    assert collector.methods == ["/opentelemetry.proto.collector.trace.v1.TraceService/Export"]
    request = ExportTraceServiceRequest.FromString(collector.bodies[0])
    spans = request.resource_spans[0].scope_spans[0].spans
    assert [span.name for span in spans] == [
        "POST /v1/chat/completions",
        "chat gpt-4o",
        "chat claude-sonnet-4-5",
    ]
    assert collector.metadata[0]["x-tenant"] == "blue"
    assert collector.metadata[0]["user-agent"].startswith("llm-proxy/1.2.3 ")
    assert value(telemetry.metrics, "otlp_spans_total", result="exported") == 3


async def test_later_is_tried_again(collector: GrpcCollector) -> None:
    collector.say(grpc.StatusCode.UNAVAILABLE)
    collector.say(grpc.StatusCode.RESOURCE_EXHAUSTED, status=retry_info(0, 1_000_000))
    telemetry = exporting(f"127.0.0.1:{collector.port}", protocol="grpc")
    async with Running(telemetry):
        telemetry.observe(EXAMPLE)
        await collector.arrived.reach(3)
    assert len(set(collector.bodies)) == 1
    assert value(telemetry.metrics, "otlp_spans_total", result="exported") == 3


@pytest.mark.parametrize("scheme", ["", "http://"])
async def test_both_signals_have_their_method(collector: GrpcCollector, scheme: str) -> None:
    way = way_to(collector, scheme)
    assert await way.send(Signal.METRICS, b"") == Taken()
    assert await way.send(Signal.TRACES, b"") == Taken()
    await way.close()
    assert [method.split("/")[1].split(".")[3] for method in collector.methods] == [
        "metrics",
        "trace",
    ]


NO_RETRY = Value(list_value=ListValue()).SerializeToString()


@pytest.mark.parametrize(
    ("code", "status", "verdict"),
    [
        (grpc.StatusCode.UNAVAILABLE, b"", Later("UNAVAILABLE: why")),
        (grpc.StatusCode.ABORTED, retry_info(2, 500_000_000), Later("ABORTED: why", 2.5)),
        (grpc.StatusCode.UNAVAILABLE, retry_info(86_400), Later("UNAVAILABLE: why", 300.0)),
        (grpc.StatusCode.UNAVAILABLE, NO_RETRY, Later("UNAVAILABLE: why")),
        (grpc.StatusCode.UNAVAILABLE, b"\xff\xff\xff", Later("UNAVAILABLE: why")),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            retry_info(3),
            Later("RESOURCE_EXHAUSTED: why", 3.0),
        ),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, b"", Never("RESOURCE_EXHAUSTED: why")),
        (grpc.StatusCode.INVALID_ARGUMENT, b"", Never("INVALID_ARGUMENT: why")),
        (grpc.StatusCode.UNAUTHENTICATED, b"", Never("UNAUTHENTICATED: why")),
    ],
)
async def test_what_a_code_means(
    collector: GrpcCollector, code: grpc.StatusCode, status: bytes, verdict: Later | Never
) -> None:
    collector.say(code, "why", status)
    way = way_to(collector)
    assert await way.send(Signal.TRACES, b"") == verdict
    await way.close()


async def test_a_collector_that_is_not_there_is_a_reason_for_later(
    collector: GrpcCollector,
) -> None:
    way = GrpcWay("127.0.0.1:1", {}, timeout=2, agent="x")
    assert isinstance(await way.send(Signal.TRACES, b""), Later)
    await way.close()
    assert collector.arrived.value == 0
