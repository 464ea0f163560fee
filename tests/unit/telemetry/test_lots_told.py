"""Telemetry of lots against telemetry of the same records one by one."""

import logging
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.telemetry.attributes import LONGEST
from proxy.telemetry.gen_ai_metrics import GenAiMetrics
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.options import MetricsOptions, Names
from proxy.telemetry.sampling import Sampling
from proxy.telemetry.span_layout import KEPT, Layouts
from proxy.telemetry.span_queue import SpanQueue
from proxy.telemetry.span_request import framed
from proxy.telemetry.telemetry import Telemetry
from proxy.telemetry.traces import Spans
from proxy.wire.brief import Numbers, Standing
from proxy.wire.lots import Lot
from tests.examples import examples
from tests.unit.telemetry.exporting import exporting
from tests.unit.telemetry.pages import samples, total, value
from tests.unit.telemetry.records import KNOWN, VENDORS, record
from tests.unit.wire_usage.usual import (
    LOTS,
    STANDING,
    STANDINGS,
    WELL_FORMED,
    briefs,
    numbers,
)

NAMES: list[tuple[Names, ...]] = [("gen_ai", "openinference"), ("gen_ai",), ("openinference",), ()]


def one_by_one(spans: Spans, lot: Lot, without: Sequence[Numbers] = ()) -> bytes:
    """The spans of its records, but of some."""
    taken = [lot.whole(each) for each in lot.numbers if not any(each is one for one in without)]
    return b"".join([framed(span) for each in taken for span in spans.of(each)])


@pytest.mark.parametrize("names", NAMES)
@settings(max_examples=examples(60))
@given(st.lists(LOTS, min_size=1, max_size=3))
def test_spans_are_the_same_bytes(names: tuple[Names, ...], lots: list[Lot]) -> None:
    spans, reference = Spans(names, VENDORS), Spans(names, VENDORS)
    for lot in lots:
        made, left = spans.of_lot(lot)
        assert b"".join(made) == one_by_one(reference, lot, left)


@pytest.mark.parametrize("names", NAMES)
@settings(max_examples=examples(60))
@given(STANDINGS, st.lists(WELL_FORMED, min_size=1, max_size=20))
def test_what_is_well_formed_is_left_to_nobody(
    names: tuple[Names, ...], standing: Standing, several: list[Numbers]
) -> None:
    """Else the quick way would be right because it is never gone."""
    lot, spans = Lot(standing, several), Spans(names, VENDORS)
    made, left = spans.of_lot(lot)
    assert left == []
    assert b"".join(made) == one_by_one(spans, lot)


@pytest.mark.parametrize(
    "changes",
    [
        {"at": -1},
        {"started": -1},
        {"done": 100},
        {"at": 1 << 62},
        {"bytes_in": 1 << 63},
        {"id": ""},
        {"id": "x" * (LONGEST + 1)},
        {"id": "x" * 20_000},
        {"parent": "0" * 16},
        {"attempt": " " * 2 + "a" * 14},
        {"trace": "a" * 30, "attempt": "a" * 18},
    ],
)
def test_what_is_odd_is_left(changes: dict[str, object]) -> None:
    odd = numbers(2, **changes)
    lot = Lot(STANDING, [numbers(1), odd, numbers(3)])
    for names in NAMES:
        spans = Spans(names, VENDORS)
        made, left = spans.of_lot(lot)
        assert left == [odd]
        usual = Lot(STANDING, [numbers(1), numbers(3)])
        assert b"".join(made) == one_by_one(spans, usual)


def test_layouts_are_bounded() -> None:
    layouts = Layouts(gen_ai=True, openinference=True, stream=False)
    for name in range(1, KEPT + 10):
        assert layouts[False, name, 1, 0, 0, 1, 1, 1] is layouts[False, name, 1, 0, 0, 1, 1, 1]
        assert len(layouts) <= KEPT


@pytest.mark.parametrize("size", [2, 300])
@settings(max_examples=examples(60))
@given(st.lists(LOTS, min_size=1, max_size=4))
def test_metrics_are_the_same(size: int, lots: list[Lot]) -> None:
    options = MetricsOptions(label_sets=size, timing_sets=size)
    of_lots, of_records = Metrics(KNOWN, options), Metrics(KNOWN, options)
    for lot in lots:
        of_lots.observe_lot(lot)
        for each in lot.numbers:
            of_records.observe(lot.whole(each))
    assert of_lots.render() == of_records.render()


@settings(max_examples=examples(60))
@given(st.lists(LOTS, min_size=1, max_size=4))
def test_metrics_for_the_collector_are_the_same(lots: list[Lot]) -> None:
    def told(metrics: GenAiMetrics) -> Sequence[str]:
        found = metrics.metrics()
        for metric in found:
            for point in metric.histogram.data_points:
                point.start_time_unix_nano = point.time_unix_nano = 0
        return [str(metric) for metric in found]

    of_lots = GenAiMetrics(KNOWN, VENDORS.items())
    of_records = GenAiMetrics(KNOWN, VENDORS.items())
    for lot in lots:
        of_lots.observe_lot(lot)
        for each in lot.numbers:
            of_records.observe(lot.whole(each))
    assert told(of_lots) == told(of_records)


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_the_same_are_sampled(ratio: float) -> None:
    traces = [f"{number * 0x1111_1111_1111_1111:032x}" for number in range(1, 16)]
    every = [
        numbers(n, trace=trace, parent=p)
        for n, trace in enumerate(traces)
        for p in (None, "b" * 16)
    ]
    lot = Lot(STANDING, [*every, numbers(99, trace=None, span=None)])
    sampling = Sampling(ratio)
    taken = sampling.taken(lot)
    assert taken is not None
    assert taken.numbers == [each for each in lot.numbers if sampling.takes(lot.whole(each))]
    nobody = Lot(STANDING, [numbers(1, trace=None, span=None)])
    assert sampling.taken(nobody) is None
    everybody = Lot(STANDING, [numbers(1, parent="b" * 16)])
    assert sampling.taken(everybody) is everybody


def test_a_queue_is_bounded_in_records_however_they_come() -> None:
    queue = SpanQueue(records=10, bytes=1 << 20, batch=8)
    lot = Lot(STANDING, [numbers(n) for n in range(4)])
    for each in (lot, lot, lot, record()):
        queue.put(each)
    assert (len(queue), queue.dropped) == (9, 8)
    assert queue.take() == [lot]
    assert queue.take() == [lot]
    (last,) = queue.take()
    assert last is not lot
    assert (len(queue), queue.bytes) == (0, 0)


async def test_each_span_of_a_lot_is_counted_once() -> None:
    telemetry = exporting("http://127.0.0.1:1", pace={"last_words": 0.01}, sample=0.0)
    nameless = numbers(3, trace=None, span=None)
    lot = Lot(STANDING, [numbers(1), numbers(2, parent="b" * 16), nameless])
    telemetry.observe_all([*briefs(lot), record(parent=None)])
    assert total(telemetry.metrics, "requests_total") == 4
    assert value(telemetry.metrics, "otlp_queue_records") == 1
    assert telemetry_spans(telemetry) == {"unsampled": 2 + 3, "dropped": 0}
    await telemetry.close()
    assert telemetry_spans(telemetry) == {"unsampled": 2 + 3, "dropped": 0, "failed": 2}


def telemetry_spans(telemetry: Telemetry) -> dict[str, float]:
    """How many spans came to what end."""
    found = samples(telemetry.metrics).items()
    return {
        label: count
        for (name, labels), count in found
        if name == "llm_proxy_otlp_spans_total"
        for _, label in labels
        if count or label == "dropped"
    }


async def test_a_lot_that_nobody_thought_of_is_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    telemetry = exporting("http://127.0.0.1:1", pace={"last_words": 0.01})
    nonsense = msgspec.structs.replace(numbers(1), done="x")
    with caplog.at_level(logging.ERROR):
        telemetry.observe_all([*briefs(Lot(STANDING, [nonsense])), record()])
    assert value(telemetry.metrics, "telemetry_failures_total") == 1
    assert "1 records could not be counted" in caplog.text
    assert total(telemetry.metrics, "requests_total") == 2  # It was counted before it failed.
    await telemetry.close()
