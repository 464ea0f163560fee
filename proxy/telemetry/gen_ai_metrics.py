"""The `gen_ai.*` metrics of the semantic conventions, for OTLP: counted from records as they pass.

Clients' metrics are of attempts, servers' of requests. Label values are as bounded as those for
Prometheus (`labels.py`, `bounded.py`). Cumulative since the start, so that an export that fails
costs nothing: the next one tells all.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    HistogramDataPoint,
    Metric,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Histogram as HistogramMetric

from proxy.base.clock import wall
from proxy.telemetry import failures
from proxy.telemetry.attributes import fill
from proxy.telemetry.bounded import NONE, OTHER, Bounded, Key
from proxy.telemetry.conventions import GEN_AI_OPERATIONS, vendor_name
from proxy.telemetry.histogram import (
    GEN_AI_DURATION,
    GEN_AI_FIRST_TOKEN,
    GEN_AI_PER_TOKEN,
    GEN_AI_TOKENS,
    Histogram,
)
from proxy.telemetry.labels import Labels, status_label
from proxy.telemetry.options import Known, Vendor
from proxy.telemetry.series import paces, per_token
from proxy.wire.lots import Lot
from proxy.wire.record import AttemptRecord, UsageRecord

_SIZE: Final = 500
_MICRO: Final = 1e-6
_CALL: Final = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")


class _Table:
    """One metric: a histogram for each combination of its attributes."""

    def __init__(self, name: str, about: str, bounds: tuple[int, ...], last: str | None) -> None:
        self.name = name
        self.about = about
        self.labels = (*_CALL, last) if last else _CALL
        self.unit, self.worth = ("{token}", 1.0) if bounds is GEN_AI_TOKENS else ("s", _MICRO)
        self.places = Bounded(partial(Histogram, bounds), width=len(self.labels), size=_SIZE)


class GenAiMetrics:
    """The aggregates, and the protobufs that tell them."""

    def __init__(self, known: Known, vendors: Iterable[tuple[str, Vendor]]) -> None:
        self._read = Labels(known)
        self._vendors = {name: vendor_name(vendor.kind) for name, vendor in vendors}
        self._start = _now()
        self._tokens = _Table(
            "gen_ai.client.token.usage",
            "Number of input and output tokens used.",
            GEN_AI_TOKENS,
            "gen_ai.token.type",
        )
        self._call = _Table(
            "gen_ai.client.operation.duration",
            "GenAI operation duration.",
            GEN_AI_DURATION,
            "error.type",
        )
        self._request = _Table(
            "gen_ai.server.request.duration",
            "Generative AI server request duration such as time-to-last byte or last output token.",
            GEN_AI_DURATION,
            "error.type",
        )
        self._first_token = _Table(
            "gen_ai.server.time_to_first_token",
            "Time to generate first token for successful responses.",
            GEN_AI_FIRST_TOKEN,
            None,
        )
        self._per_token = _Table(
            "gen_ai.server.time_per_output_token",
            "Time per output token generated after the first token for successful responses.",
            GEN_AI_PER_TOKEN,
            None,
        )

    def observe(self, record: UsageRecord) -> None:
        """Count one record. One without an attempt reached no model, and is not counted."""
        operation = GEN_AI_OPERATIONS.get(record.operation)
        if operation is None or not record.attempts:
            return
        call: Key = (operation, NONE, NONE)
        for attempt in record.attempts:
            call = (operation, self._vendor(attempt), self._read.upstream_model(attempt, record))
            self._observe_attempt(call, attempt)
        failed = failures.of_request(record)
        error = "" if failed is None else self._read.errors.get(failed, OTHER)
        self._request.places.at((*call, error)).observe(record.done)
        if record.outcome == "completed" and record.stream and record.first_token is not None:
            self._first_token.places.at(call).observe(record.first_token)
            pace = per_token(record)
            if pace is not None:
                self._per_token.places.at(call).observe(pace)

    def observe_lot(self, lot: Lot) -> None:
        """Count all of them."""
        first, numbers = lot.first, lot.numbers
        operation = GEN_AI_OPERATIONS.get(first.operation)
        if operation is None:
            return
        (attempt,) = first.attempts
        call: Key = (operation, self._vendor(attempt), self._read.upstream_model(attempt, first))
        ended, count = (*call, ""), len(numbers)
        took = [each.done - each.started for each in numbers]
        self._call.places.at(ended, count).observe_all([each if each > 0 else 0 for each in took])
        self._tokens.places.at((*call, "input"), count).observe_all([x.input for x in numbers])
        if given := [each.output for each in numbers if each.output]:
            self._tokens.places.at((*call, "output"), len(given)).observe_all(given)
        self._request.places.at(ended, count).observe_all([each.done for each in numbers])
        if lot.standing.stream:
            tokens = [each.first_token for each in numbers]
            self._first_token.places.at(call, count).observe_all(tokens)
            if found := paces(lot):
                self._per_token.places.at(call, len(found)).observe_all(found)

    def metrics(self) -> list[Metric]:
        """All of them, as they are now."""
        now = _now()
        tables = (self._tokens, self._call, self._request, self._first_token, self._per_token)
        return [self._metric(table, now) for table in tables if len(table.places)]

    def _vendor(self, attempt: AttemptRecord) -> str:
        name = self._read.providers.get(attempt.provider, OTHER)
        return self._vendors.get(name, name)

    def _observe_attempt(self, call: Key, attempt: AttemptRecord) -> None:
        self._call.places.at((*call, self._error(attempt))).observe(
            max(0, attempt.ended - attempt.started)
        )
        if attempt.usage is not None:
            self._tokens.places.at((*call, "input")).observe(attempt.usage.input)
            if attempt.usage.output:
                self._tokens.places.at((*call, "output")).observe(attempt.usage.output)

    def _error(self, attempt: AttemptRecord) -> str:
        if attempt.status >= 400:
            return status_label(attempt.status)
        return "" if attempt.error is None else self._read.reason(attempt)

    def _metric(self, table: _Table, now: int) -> Metric:
        return Metric(
            name=table.name,
            description=table.about,
            unit=table.unit,
            histogram=HistogramMetric(
                aggregation_temporality=AGGREGATION_TEMPORALITY_CUMULATIVE,
                data_points=list(self._points(table, now)),
            ),
        )

    def _points(self, table: _Table, now: int) -> Iterator[HistogramDataPoint]:
        for key, histogram in table.places.items():
            told = {name: value or None for name, value in zip(table.labels, key, strict=True)}
            point = HistogramDataPoint(
                start_time_unix_nano=self._start,
                time_unix_nano=now,
                count=histogram.count,
                sum=histogram.total * table.worth,
                bucket_counts=histogram.counts,
                explicit_bounds=[round(bound * table.worth, 6) for bound in histogram.bounds],
            )
            fill(point.attributes, told)
            yield point


def _now() -> int:
    return int(wall() * 1e9)
