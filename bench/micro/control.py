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
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from bench.table import table
from proxy.base.clock import monotonic
from proxy.base.ids import RequestIds
from proxy.core.tracing import begun, new_span
from proxy.stores.postgres.usage import Batch
from proxy.stores.postgres.usage_copy import CopyRows
from proxy.telemetry.gen_ai_metrics import GenAiMetrics
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.options import Known, Vendor
from proxy.telemetry.otlp_http import pack
from proxy.telemetry.span_request import SpanRequest
from proxy.telemetry.traces import Spans
from proxy.usage.segments import list_segments, read_batch
from proxy.wire.record import Head, Standing, UsageRecord
from proxy.wire.record_reader import RecordReader

_BATCH = 512
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
    spans = new_span().encode(), (begun().trace or "").encode(), new_span().encode()
    said = b'"attempt":"%b","trace":"%b","span":"%b"' % spans
    return head.line(times, (tokens_in, tokens_out, cost_in + tokens_out * 2_000, cost_in), said)


def _best(step: Callable[[], object]) -> float:
    took = []
    for _ in range(_ROUNDS):
        begun = monotonic()
        step()
        took.append(monotonic() - begun)
    return min(took)


def _batches(records: Sequence[UsageRecord], size: int) -> list[Sequence[UsageRecord]]:
    return [records[start : start + size] for start in range(0, len(records), size)]


def measure(folder: Path, count: int) -> list[list[str]]:
    """A row for each part."""
    lines = lines_of(count)
    reader = RecordReader()
    records = [reader.read(line) for line in lines]
    (folder / "worker-0-1760000000000-1-0001.seg").write_bytes(b"".join(lines))
    (segment,) = list_segments(folder)
    metrics = Metrics(_KNOWN)
    gen_ai = GenAiMetrics(_KNOWN, _VENDORS.items())
    spans = Spans(("gen_ai", "openinference"), _VENDORS)
    request = SpanRequest(Resource(), InstrumentationScope(name="llm-proxy"))

    def body(batch: Sequence[UsageRecord]) -> bytes:
        return request.of([span for record in batch for span in spans.of(record)])

    batches = _batches(records, _BATCH // 2)
    bodies = [body(batch) for batch in batches]
    shipped, rows_of = _batches(records, 500), CopyRows()
    rows = [["µs per record", ""]]

    def add(name: str, step: Callable[[], object]) -> None:
        rows.append([name, f"{_best(step) / count * 1e6:.2f}"])

    def read() -> None:
        offset = 0
        while (batch := read_batch(segment, offset, 500, reader)).next_offset != offset:
            offset = batch.next_offset

    add("checksum of a line", lambda: [zlib.crc32(line) for line in lines])
    add("record of a line", lambda: [reader.read(line) for line in lines])
    add("Prometheus metrics", lambda: deque(map(metrics.observe, records), 0))
    add("gen_ai metrics", lambda: deque(map(gen_ai.observe, records), 0))
    add("spans as bytes", lambda: [body(batch) for batch in batches])
    add("spans gzipped, where they travel", lambda: [pack(body) for body in bodies])
    add("batches of the shipper", read)
    add("rows for COPY", lambda: [rows_of.of(some) for some in shipped])
    add("sums for the store", lambda: [Batch("s", 0, 1, some) for some in shipped])
    rows.append(["bytes of a line", f"{sum(map(len, lines)) / count:.0f}"])
    rows.append(["bytes of its spans", f"{sum(map(len, bodies)) / count:.0f}"])
    rows.append(["bytes of them gzipped", f"{sum(len(pack(b)) for b in bodies) / count:.0f}"])
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
