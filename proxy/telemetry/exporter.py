"""Spans and metrics on their way to a collector, which may be away, slow or wrong.

One batch is under way at a time. Where the collector says later, the batch is tried again with
growing pauses, or when it said; meanwhile the queue takes what it has room for, and what it has no
room for is counted. Nothing here is ever waited for by accounting. The log tells when export begins
to fail and when it works again, not each time.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from proxy.base.clock import monotonic
from proxy.telemetry.delivery import Later, Never, Signal, Taken, Verdict, Way
from proxy.telemetry.gen_ai_metrics import GenAiMetrics
from proxy.telemetry.options import Pace
from proxy.telemetry.sampling import Sampling
from proxy.telemetry.span_queue import SpanQueue, Waiting, spans_in
from proxy.telemetry.span_request import SpanRequest, framed
from proxy.telemetry.traces import Spans
from proxy.wire.lots import Lot
from proxy.wire.record import UsageRecord

log = logging.getLogger("llm-proxy.otlp")

BATCH = 2048
"""Spans in a request: each costs control some wakings, and so the workers beside it on a core."""
_LARGEST = 2 * 1024 * 1024
"""Bytes of a request that holds more than one record, or lot: collectors refuse gRPC messages
beyond 4 MiB."""


class Exporter:
    """To one collector."""

    def __init__(
        self,
        way: Way,
        spans: Spans,
        sampling: Sampling,
        metrics: GenAiMetrics | None,
        *,
        about: tuple[Resource, InstrumentationScope],
        pace: Pace,
    ) -> None:
        self._way = way
        self._make = spans
        self._sampling = sampling
        self._metrics = metrics
        self._resource, self._scope = about
        self._request = SpanRequest(*about)
        self._pace = pace
        self._failing: set[Signal] = set()
        self._closing = asyncio.Event()
        self._under_way = asyncio.Lock()
        self.queue = SpanQueue(records=pace.waiting_records, bytes=pace.waiting_bytes, batch=BATCH)
        self.spans: Counter[str] = Counter()  # exported, unsampled, rejected, failed, malformed
        self.exports: Counter[str] = Counter()  # ok, later, never

    def observe(self, record: UsageRecord) -> None:
        """Take a record: at once, and without a wait."""
        if self._metrics is not None:
            self._metrics.observe(record)
        if self._sampling.takes(record):
            self.queue.put(record)
        elif record.span is not None:
            self.spans["unsampled"] += spans_in(record)

    def observe_lot(self, lot: Lot) -> None:
        """Take all of them: at once, and without a wait."""
        if self._metrics is not None:
            self._metrics.observe_lot(lot)
        taken = self._sampling.taken(lot)
        if taken is not None:
            self.queue.put(taken)
        if taken is not lot:
            named = sum([each.span is not None for each in lot.numbers])
            self.spans["unsampled"] += 2 * (named - (len(taken) if taken is not None else 0))

    def counts(self) -> dict[str, float]:
        """Spans by what became of them."""
        return {**self.spans, "dropped": self.queue.dropped}

    async def run(self) -> None:
        """Export, until `close`."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._send_spans())
            if self._metrics is not None:
                both.create_task(self._send_metrics(self._metrics))

    async def close(self) -> None:
        """Send what waits, for as long as `last_words`, and close the connections."""
        self._closing.set()
        self.queue.hurry()
        try:
            async with asyncio.timeout(self._pace.last_words), self._under_way:
                while len(self.queue) and Signal.TRACES not in self._failing:
                    await self._deliver(self.queue.take())
                if self._metrics is not None:
                    await self._send_metrics_once(self._metrics)
        except TimeoutError:
            log.warning("the collector was too slow for the last spans")
        while len(self.queue):
            self.spans["failed"] += sum(map(spans_in, self.queue.take()))
        await self._way.close()

    async def _send_spans(self) -> None:
        while not self._closing.is_set():
            await self.queue.ready(self._pace.flush)
            async with self._under_way:
                if self._closing.is_set():
                    return
                await self._deliver(self.queue.take())

    async def _deliver(self, waiting: Sequence[Waiting]) -> None:
        requests = self._requests(waiting)
        told = sum([spans for _, spans in requests])
        if not told:
            return
        exported = refused = 0
        try:
            for body, spans in requests:
                verdict = await self._persist(body)
                if isinstance(verdict, Taken):
                    rejected = min(verdict.rejected, spans)
                    exported += spans - rejected
                    refused += rejected
        finally:  # Cancelled or not, each span is counted once.
            self.spans["exported"] += exported
            self.spans["rejected"] += refused
            self.spans["failed"] += told - exported - refused

    def _requests(self, waiting: Sequence[Waiting]) -> list[tuple[bytes, int]]:
        """One request, or as many as it takes, and how many spans are in each."""
        found: list[tuple[bytes, int]] = []
        told: list[bytes] = []
        size = spans = 0
        for each in waiting:
            before = len(told)
            more = self._tell(told, each)
            longer = sum(map(len, told[before:]))
            if spans and size + longer > _LARGEST:
                found.append((self._request.of(told[:before]), spans))
                told, size, spans = told[before:], 0, 0
            size += longer
            spans += more
        if spans:
            found.append((self._request.of(told), spans))
        return found

    def _tell(self, told: list[bytes], waiting: Waiting) -> int:
        """Add the spans of what waited, `framed`; return how many."""
        if isinstance(waiting, Lot):
            pieces, left = self._make.of_lot(waiting)
            told += pieces
            rest = sum([self._tell(told, waiting.whole(numbers)) for numbers in left])
            return spans_in(waiting) - 2 * len(left) + rest
        try:
            spans = self._make.of(waiting)
        except (ValueError, TypeError) as error:  # Bad ids, or a number that no int64 holds.
            log.debug("%s has no spans: %s", waiting.id, error)
            self.spans["malformed"] += spans_in(waiting)
            return 0
        told += map(framed, spans)
        return len(spans)

    async def _persist(self, body: bytes) -> Verdict:
        """Send, again and again while the collector says later and patience lasts."""
        begun, pause = monotonic(), self._pace.first_backoff
        while True:
            verdict = await self._send(Signal.TRACES, body)
            late = monotonic() - begun >= self._pace.patience
            if not isinstance(verdict, Later) or late or self._closing.is_set():
                return verdict
            wait = verdict.after if verdict.after is not None else pause * random.uniform(0.5, 1.0)
            pause = min(pause * 2, self._pace.longest_backoff)
            await self._pause(wait)

    async def _send(self, signal: Signal, body: bytes) -> Verdict:
        try:
            verdict = await self._way.send(signal, body)
        except Exception as error:
            log.exception("an export failed in a way that nobody thought of")
            verdict = Never(type(error).__name__)
        match verdict:
            case Taken():
                self.exports["ok"] += 1
                if verdict.rejected or verdict.reason:
                    log.warning("the collector rejected some %s: %s", signal.word, verdict.reason)
                if signal in self._failing:
                    log.warning("the collector takes %s again", signal.word)
                self._failing.discard(signal)
            case Later() | Never():
                self.exports["later" if isinstance(verdict, Later) else "never"] += 1
                if signal not in self._failing:
                    log.warning("the collector takes no %s: %s", signal.word, verdict.reason)
                self._failing.add(signal)
        return verdict

    async def _send_metrics(self, metrics: GenAiMetrics) -> None:
        while not self._closing.is_set():
            await self._pause(self._pace.metrics_every)
            if not self._closing.is_set():
                await self._send_metrics_once(metrics)

    async def _send_metrics_once(self, metrics: GenAiMetrics) -> None:
        if found := metrics.metrics():
            told = ScopeMetrics(scope=self._scope, metrics=found)
            request = ExportMetricsServiceRequest(
                resource_metrics=[ResourceMetrics(resource=self._resource, scope_metrics=[told])]
            )
            await self._send(Signal.METRICS, request.SerializeToString())

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not through the end."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return
