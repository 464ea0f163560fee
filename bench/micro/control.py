"""What a record costs control, by part: `python -m bench.micro.control [--records N]`.

Lines as workers write them under load, from the reader of the spool to bytes for the collector
and for COPY. Sockets, disks and the database are not in it: `llm-proxy bench` shows all of them.
Best of several rounds, in microseconds of a record, in batches as control handles them.
"""

import argparse
import sys
import tempfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from bench.table import table
from proxy.base.clock import monotonic
from proxy.base.ids import RequestIds
from proxy.core.tracing import begun, new_span
from proxy.stores.postgres.usage import Batch
from proxy.stores.postgres.usage_copy import CopyRows
from proxy.telemetry.exporter import BATCH
from proxy.telemetry.gen_ai_metrics import GenAiMetrics
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.options import Known, Vendor
from proxy.telemetry.otlp_http import pack
from proxy.telemetry.span_request import SpanRequest, framed
from proxy.telemetry.traces import Spans
from proxy.usage.segments import list_segments, read_batch
from proxy.usage.shipper import ShipperOptions
from proxy.wire.brief import Standing
from proxy.wire.brief_line import Head, ids
from proxy.wire.lots import Lot, sort_out, spelled_out
from proxy.wire.record import UsageRecord
from proxy.wire.record_reader import RecordReader

_FOLLOWED, _SHIPPED = 128, ShipperOptions().batch
_ROUNDS = 7
_KEYS = 20
_KNOWN = Known(
    models=frozenset(("gpt-4o",)),
    providers=frozenset(("vendor",)),
    teams=frozenset(("bench",)),
    keys=frozenset(f"key-{number}" for number in range(_KEYS)),
    upstream_models=frozenset(("gpt-4o",)),
)
_VENDORS = {"vendor": Vendor("openai", "127.0.0.1", 8080)}

T = TypeVar("T")
Step = Callable[[], object]


def lines_of(count: int) -> list[bytes]:
    """What a worker writes: traced, priced, of several keys."""
    random, ids = Random(6), RequestIds()
    heads = [Head(_standing(number)) for number in range(_KEYS)]
    return [_line(random, heads[random.randrange(_KEYS)], ids.new()) for _ in range(count)]


def _standing(number: int) -> Standing:
    return Standing(
        worker="worker-0",
        config="0123456789ab",
        operation="chat",
        provider="vendor",
        target="gpt-4o",
        key=f"key-{number}",
        team="bench",
        model="gpt-4o",
        route="gpt-4o",
        prices="0123456789ab",
    )


def _line(random: Random, head: Head, name: str) -> bytes:
    started, took = random.randrange(150, 900), random.randrange(5_000, 90_000)
    times = (
        name,
        1_760_000_000_000_000 + random.randrange(600_000_000),
        *(started + took + 80, 1024, 873, 20, started - 40, started + took),
        *(started - 20, started, started + took - 5),
    )
    tokens_in, tokens_out = random.randrange(10, 4_000), random.randrange(10, 900)
    cost_in = tokens_in * 500
    said = ids(new_span(), begun().trace or "", new_span(), None)
    return head.line(times, (tokens_in, tokens_out, cost_in + tokens_out * 2_000, cost_in), said)


def _best(step: Callable[[], object]) -> float:
    took = []
    for _ in range(_ROUNDS):
        begun = monotonic()
        step()
        took.append(monotonic() - begun)
    return min(took)


def _batches(told: Sequence[T], size: int) -> list[Sequence[T]]:
    return [told[start : start + size] for start in range(0, len(told), size)]


def rows_of_parts(folder: Path, count: int) -> Iterator[tuple[str, Step | None, Step | None]]:
    """Each part: its name, what it does with records one by one, and with lots."""
    lines = lines_of(count)
    reader = RecordReader()
    for line in lines:  # The first of their kind are no briefs.
        reader.told(line)
    told = [reader.told(line) for line in lines]
    records = spelled_out(told)
    yield "checksum of a line", lambda: [zlib.crc32(line) for line in lines], None
    yield (
        "record of a line",
        lambda: [reader.read(line) for line in lines],
        lambda: [reader.told(line) for line in lines],
    )
    yield "sorting out", None, lambda: [sort_out(piece) for piece in _batches(told, _FOLLOWED)]
    lots = [lot for piece in _batches(told, _FOLLOWED) for lot in sort_out(piece)[0]]
    metrics = Metrics(_KNOWN)
    yield (
        "Prometheus metrics",
        lambda: deque(map(metrics.observe, records), 0),
        lambda: deque(map(metrics.observe_lot, lots), 0),
    )
    gen_ai = GenAiMetrics(_KNOWN, _VENDORS.items())
    yield (
        "gen_ai metrics",
        lambda: deque(map(gen_ai.observe, records), 0),
        lambda: deque(map(gen_ai.observe_lot, lots), 0),
    )
    yield (
        "spans as bytes",
        lambda: deque(bodies(records), 0),
        lambda: deque(bodies_of_lots(lots), 0),
    )
    yield "gzip, where they travel", lambda: deque(map(pack, bodies(records)), 0), None
    (folder / "worker-0-1760000000000-1-0001.seg").write_bytes(b"".join(lines))
    (segment,) = list_segments(folder)

    def read() -> None:
        offset = 0
        while (batch := read_batch(segment, offset, _SHIPPED, reader)).next_offset != offset:
            offset = batch.next_offset

    yield "batches of the shipper", None, read
    copy, shipped = CopyRows(), [sort_out(some)[0] for some in _batches(told, _SHIPPED)]
    yield (
        "rows for COPY",
        lambda: [copy.of(some) for some in _batches(records, _SHIPPED)],
        lambda: [copy.of((), some) for some in shipped],
    )
    yield (
        "sums for the store",
        lambda: [Batch("s", 0, 1, some) for some in _batches(records, _SHIPPED)],
        lambda: [Batch("s", 0, 1, some) for some in _batches(told, _SHIPPED)],
    )


_SPANS = Spans(("gen_ai", "openinference"), _VENDORS)
_REQUEST = SpanRequest(Resource(), InstrumentationScope(name="llm-proxy"))


def bodies(records: Sequence[UsageRecord]) -> Iterator[bytes]:
    """Exports, each of as many spans as are sent together; one at a time, as they are sent."""
    for some in _batches(records, BATCH // 2):
        yield _REQUEST.of([framed(span) for record in some for span in _SPANS.of(record)])


def bodies_of_lots(lots: Sequence[Lot]) -> Iterator[bytes]:
    """The same of lots, about as many."""
    some = max(1, len(lots) * BATCH // 2 // sum(map(len, lots)))
    for piece in _batches(lots, some):
        yield _REQUEST.of([span for lot in piece for span in _SPANS.of_lot(lot)[0]])


def measure(folder: Path, count: int) -> list[list[str]]:
    """A row for each part."""
    rows = [["µs per record", "alone", "in lots"]]
    for name, *steps in rows_of_parts(folder, count):
        took = ["" if step is None else f"{_best(step) / count * 1e6:.2f}" for step in steps]
        rows.append([name, *took])
    return rows


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=4_096)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(table(measure(Path(folder), given.records)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
