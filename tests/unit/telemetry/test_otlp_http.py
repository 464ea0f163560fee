"""OTLP over HTTP, judged by a collector on a real socket that reads OTLP's own protobufs."""

import asyncio
import logging

import pytest
from msgspec import structs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from proxy.telemetry import exporter
from proxy.telemetry.delivery import Later, Never, Signal, Taken, retry_after, stays_here
from proxy.telemetry.otlp_http import HttpWay
from proxy.wire.record import Content
from tests.fakes.vendor import FIN, RST, STALL, WaitFor
from tests.unit.telemetry.collector import PROTOBUF, Collector, Running, attributes, body_of
from tests.unit.telemetry.exporting import exporting, numbered
from tests.unit.telemetry.pages import value
from tests.unit.telemetry.records import CALLER, EXAMPLE, FIRST, SECOND, SERVER, refused


async def test_spans_arrive_as_protobufs() -> None:
    async with Collector() as collector:
        telemetry = exporting(collector.origin, headers={"authorization": "Bearer secret"})
        async with Running(telemetry):
            telemetry.observe(EXAMPLE)
            await collector.arrived.wait()
    (request,) = collector.requests
    assert (request.method, request.target) == ("POST", "/v1/traces")
    assert request.header("content-type") == "application/x-protobuf"
    assert request.header("authorization") == "Bearer secret"
    assert request.header("user-agent") == "llm-proxy/1.2.3"
    (resource,) = collector.traces()[0].resource_spans
    assert attributes(list(resource.resource.attributes)) == {
        "service.name": "llm-proxy",
        "service.version": "1.2.3",
        "service.instance.id": "i-1",
        "openinference.project.name": "llm-proxy",
        "deployment.environment.name": "test",
    }
    (scope,) = resource.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("llm-proxy", "1.2.3")
    assert [(span.span_id.hex(), span.parent_span_id.hex()) for span in scope.spans] == [
        (SERVER, CALLER),
        (FIRST, SERVER),
        (SECOND, SERVER),
    ]
    assert value(telemetry.metrics, "otlp_spans_total", result="exported") == 3


@pytest.mark.parametrize("suffix", ["", "/", "/v1/traces"])
async def test_the_endpoint_is_a_base_or_that_of_traces(suffix: str) -> None:
    async with Collector() as collector:
        way = HttpWay(f"{collector.origin}/tenant{suffix}", {}, timeout=5, agent="x")
        assert await way.send(Signal.TRACES, b"") == Taken()
        assert await way.send(Signal.METRICS, b"") == Taken()
        await way.close()
    assert [r.target for r in collector.requests] == ["/tenant/v1/traces", "/tenant/v1/metrics"]


@pytest.mark.parametrize(("packed", "coding"), [(True, "gzip"), (False, None)])
async def test_packed_or_not_it_is_the_same(packed: bool, coding: str | None) -> None:
    async with Collector() as collector:
        way = HttpWay(collector.origin, {}, timeout=5, agent="x", packed=packed)
        assert await way.send(Signal.TRACES, b"spans" * 100) == Taken()
        await way.close()
    (request,) = collector.requests
    assert request.header("content-encoding") == coding
    assert body_of(request) == b"spans" * 100
    assert (len(request.body) < 100) is packed


@pytest.mark.parametrize(
    ("endpoint", "here"),
    [
        ("http://127.0.0.1:4318", True),
        ("http://localhost:4318/v1/traces", True),
        ("https://[::1]:4318", True),
        ("127.0.0.2:4317", True),
        ("localhost", True),
        ("http://10.0.0.1:4318", False),
        ("https://collector.example.com", False),
        ("http://localhost.example.com", False),
        ("collector:4317", False),
    ],
)
def test_a_collector_on_this_machine_is_known(endpoint: str, here: bool) -> None:
    assert stays_here(endpoint) is here


async def test_what_does_not_travel_is_not_packed() -> None:
    async with Collector() as collector:
        telemetry = exporting(collector.origin)
        async with Running(telemetry):
            telemetry.observe(EXAMPLE)
            await collector.arrived.wait()
    assert collector.requests[0].header("content-encoding") is None
    assert len(collector.spans()) == 3


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_later_is_tried_again_with_the_same_bytes(status: int) -> None:
    async with Collector() as collector:
        collector.say(status=status, headers=[("retry-after", "0")])
        collector.say(status=status)
        telemetry = exporting(collector.origin)
        async with Running(telemetry):
            telemetry.observe(EXAMPLE)
            await collector.arrived.reach(3)
    assert len({body_of(request) for request in collector.requests}) == 1
    assert value(telemetry.metrics, "otlp_spans_total", result="exported") == 3
    assert value(telemetry.metrics, "otlp_exports_total", result="later") == 2


async def test_retry_after_is_kept() -> None:
    loop = asyncio.get_running_loop()
    async with Collector() as collector:
        collector.say(status=429, headers=[("retry-after", "1")])
        telemetry = exporting(collector.origin)
        async with Running(telemetry):
            telemetry.observe(EXAMPLE)
            await collector.arrived.wait()
            begun = loop.time()
            await collector.arrived.reach(2)
            assert loop.time() - begun >= 0.9


@pytest.mark.parametrize("status", [302, 400, 401, 404, 413, 500, 501])
async def test_never_is_counted_and_the_rest_goes_on(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with Collector() as collector:
        headers = [("content-type", "text/plain"), ("location", "/elsewhere")]
        collector.say(status=status, headers=headers, body=b"no such tenant")
        telemetry = exporting(collector.origin)
        with caplog.at_level(logging.WARNING):
            async with Running(telemetry):
                telemetry.observe(EXAMPLE)
                await collector.arrived.wait()
                telemetry.observe(refused())
                await collector.arrived.reach(2)
    assert value(telemetry.metrics, "otlp_spans_total", result="failed") == 3
    assert value(telemetry.metrics, "otlp_spans_total", result="exported") == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"the collector takes no traces: HTTP {status}: 'no such tenant'",
        "the collector takes traces again",
    ]


async def test_what_a_collector_rejects_of_a_batch_is_counted() -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 2
    answer.partial_success.error_message = "too old"
    async with Collector() as collector:
        collector.say(headers=[PROTOBUF], body=answer.SerializeToString())
        telemetry = exporting(collector.origin)
        async with Running(telemetry):
            telemetry.observe(EXAMPLE)
            await collector.arrived.wait()
    assert value(telemetry.metrics, "otlp_spans_total", result="rejected") == 2
    assert value(telemetry.metrics, "otlp_spans_total", result="exported") == 1


async def test_an_answer_that_is_no_protobuf_is_an_answer() -> None:
    async with Collector() as collector:
        collector.say(headers=[("content-type", "text/html")], body=b"<h1>fine</h1>")
        way = HttpWay(collector.origin, {}, timeout=5, agent="x")
        assert await way.send(Signal.TRACES, b"") == Taken(reason="the answer is no protobuf")
        await way.close()


@pytest.mark.parametrize("cut", [FIN, RST])
async def test_a_connection_that_breaks_is_a_reason_for_later(cut: object) -> None:
    async with Collector() as collector:
        collector.say_raw(cut)  # type: ignore[arg-type]
        way = HttpWay(collector.origin, {}, timeout=5, agent="x")
        assert isinstance(await way.send(Signal.TRACES, b""), Later)
        assert await way.send(Signal.TRACES, b"") == Taken()
        await way.close()


async def test_a_collector_that_is_not_there_is_a_reason_for_later() -> None:
    async with Collector() as collector:
        origin = collector.origin
    way = HttpWay(origin, {}, timeout=5, agent="x")
    assert isinstance(await way.send(Signal.TRACES, b""), Later)
    await way.close()


async def test_silence_is_a_reason_for_later() -> None:
    async with Collector() as collector:
        collector.say(before_head=[STALL])
        way = HttpWay(collector.origin, {}, timeout=0.05, agent="x")
        assert await way.send(Signal.TRACES, b"") == Later("no answer in time")
        await way.close()


async def test_an_endless_answer_is_read_no_further_than_needed() -> None:
    never = asyncio.Event()
    async with Collector() as collector:
        pieces = [b"x" * 16_384] * 5
        collector.say(status=400, headers=[PROTOBUF], chunks=[*pieces, WaitFor(never)])
        way = HttpWay(collector.origin, {}, timeout=5, agent="x")
        assert await way.send(Signal.TRACES, b"") == Never("HTTP 400")
        await way.close()
        never.set()


async def test_a_batch_has_at_most_so_many_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "BATCH", 512)
    async with Collector() as collector:
        telemetry = exporting(collector.origin)
        for number in range(400):
            telemetry.observe(numbered(number))
        async with Running(telemetry):
            await collector.arrived.reach(3)
    sizes = [len(t.resource_spans[0].scope_spans[0].spans) for t in collector.traces()]
    assert sizes == [510, 510, 180]
    assert len({span.span_id for span in collector.spans()}) == 400 + 2


async def test_no_request_is_longer_than_collectors_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "_LARGEST", 20_000)
    async with Collector() as collector:
        telemetry = exporting(collector.origin)
        long = "y" * 9_000  # Told twice: for each of the two names.
        for number in range(40):
            said = Content(output=long if number % 10 == 5 else "short")
            telemetry.observe(structs.replace(numbered(number), content=said))
        async with Running(telemetry):
            await collector.arrived.reach(4)
    sizes = [len(t.SerializeToString()) for t in collector.traces()]
    alone = [len(t.resource_spans[0].scope_spans[0].spans) == 3 for t in collector.traces()]
    assert all(size < 20_500 or one for size, one in zip(sizes, alone, strict=True))
    assert len({span.span_id for span in collector.spans()}) == 40 + 2
    assert value(telemetry.metrics, "otlp_spans_total", result="exported") == 120


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("999999", 300.0),
        ("-1", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 9015 07:28:00 GMT", 300.0),
    ],
)
def test_retry_after_is_read_within_reason(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds
