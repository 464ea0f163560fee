"""The front of telemetry: all records pass here, and nothing that it does is felt by the caller.

`observe` counts, and queues spans for the exporter; it raises nothing, waits for nothing and keeps
no record longer than its queue's bounds allow. What fails in here is logged and counted. A reload
builds a new Telemetry around the old Metrics, so that counters go on.
"""

import asyncio
import logging
from collections.abc import Sequence

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from proxy.telemetry.attributes import fill
from proxy.telemetry.delivery import Way, stays_here
from proxy.telemetry.exporter import Exporter
from proxy.telemetry.gen_ai_metrics import GenAiMetrics
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.options import OtlpOptions, TelemetryOptions
from proxy.telemetry.otlp_http import HttpWay
from proxy.telemetry.sampling import Sampling
from proxy.telemetry.traces import Spans
from proxy.wire.lots import Lot, sort_out
from proxy.wire.record import UsageRecord
from proxy.wire.record_reader import Told

log = logging.getLogger("llm-proxy.telemetry")

NAME = "llm-proxy"

_OF_EXPORTER = (
    "otlp_spans_total",
    "otlp_exports_total",
    "otlp_queue_records",
    "otlp_queue_bytes",
)


class MissingExtra(RuntimeError):
    """What was asked for needs a library that is not installed; the message says which extra."""


class Telemetry:
    """Metrics, and traces where they go anywhere."""

    def __init__(self, metrics: Metrics, exporter: Exporter | None) -> None:
        self.metrics = metrics
        self._exporter = exporter
        self._closing = asyncio.Event()
        self._failures = 0
        metrics.before_render("otlp", self._tell)

    def observe(self, record: UsageRecord) -> None:
        """Take one record. Raises nothing."""
        try:
            self.metrics.observe(record)
        except Exception:
            if self._worth_a_line():
                log.exception("%s could not be counted", record.id)
        if self._exporter is not None:
            try:
                self._exporter.observe(record)
            except Exception:
                if self._worth_a_line():
                    log.exception("%s could not be traced", record.id)

    def observe_all(self, told: Sequence[Told]) -> None:
        """Take many, which is quicker where they are alike. Raises nothing."""
        lots, others = sort_out(told)
        for lot in lots:
            self._observe_lot(lot)
        for record in others:
            self.observe(record)

    def _observe_lot(self, lot: Lot) -> None:
        try:
            self.metrics.observe_lot(lot)
        except Exception:
            if self._worth_a_line():
                log.exception("%d records could not be counted", len(lot))
        if self._exporter is not None:
            try:
                self._exporter.observe_lot(lot)
            except Exception:
                if self._worth_a_line():
                    log.exception("%d records could not be traced", len(lot))

    async def run(self) -> None:
        """Export, until `close`; without a collector only wait for that."""
        if self._exporter is not None:
            await self._exporter.run()
        else:
            await self._closing.wait()

    async def close(self) -> None:
        """Send what waits, for a few seconds at most; `run` returns."""
        self._closing.set()
        if self._exporter is not None:
            await self._exporter.close()

    def _worth_a_line(self) -> bool:
        """For the first failure, the second, the fourth …: one bug must not fill a disk."""
        self._failures += 1
        return self._failures & (self._failures - 1) == 0

    def _tell(self) -> None:
        gauges = self.metrics.gauges
        gauges.set("telemetry_failures_total", self._failures)
        exporter = self._exporter
        if exporter is None:  # Perhaps there was one before the last reload.
            for name in _OF_EXPORTER:
                gauges.drop(name)
        else:
            gauges.replace("otlp_spans_total", exporter.counts())
            gauges.replace("otlp_exports_total", exporter.exports)
            gauges.set("otlp_queue_records", len(exporter.queue))
            gauges.set("otlp_queue_bytes", exporter.queue.bytes)


def build(options: TelemetryOptions, *, metrics: Metrics | None = None) -> Telemetry:
    """Telemetry from its options; `metrics` of the one before goes on counting.

    Raises MissingExtra."""
    if metrics is None:
        metrics = Metrics(options.known, options.metrics, version=options.version)
    else:
        metrics.reload(options.known, options.metrics)
    exporter = None if options.otlp is None else _exporter(options, options.otlp)
    return Telemetry(metrics, exporter)


def _exporter(options: TelemetryOptions, otlp: OtlpOptions) -> Exporter:
    resource = Resource()
    attributes = {
        "service.name": NAME,
        "service.version": options.version,
        "service.instance.id": options.instance,
        "openinference.project.name": NAME if "openinference" in otlp.names else None,
        **options.resource,
    }
    fill(resource.attributes, attributes)
    gen_ai = GenAiMetrics(options.known, options.vendors.items()) if otlp.metrics else None
    return Exporter(
        _way(otlp, f"{NAME}/{options.version}"),
        Spans(otlp.names, options.vendors),
        Sampling(otlp.sample),
        gen_ai,
        about=(
            resource,
            InstrumentationScope(name=NAME, version=options.version),
        ),
        pace=otlp.pace,
    )


def _way(otlp: OtlpOptions, agent: str) -> Way:
    packed = not stays_here(otlp.endpoint)
    timeout = otlp.pace.timeout
    if otlp.protocol == "http/protobuf":
        return HttpWay(otlp.endpoint, otlp.headers, timeout=timeout, agent=agent, packed=packed)
    try:
        from proxy.telemetry.otlp_grpc import GrpcWay  # noqa: PLC0415 - an extra may be missing.
    except ImportError:
        raise MissingExtra(
            "telemetry.otlp.protocol: grpc needs grpcio: pip install 'llm-proxy[otlp-grpc]'"
        ) from None
    return GrpcWay(otlp.endpoint, otlp.headers, timeout=timeout, agent=agent, packed=packed)
