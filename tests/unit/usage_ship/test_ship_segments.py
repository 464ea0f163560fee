"""Reading segments: whole, torn, corrupt, huge, still being written."""

import os
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.usage import segments as segments_module
from proxy.usage.segments import (
    Batch,
    Segment,
    is_finished,
    list_segments,
    read_batch,
    remove,
    spool_id,
)
from proxy.wire.record import Content, line_of
from tests.examples import examples
from tests.unit.stores.records import record, records
from tests.unit.usage_ship.spool_files import (
    ActiveSegment,
    segment_name,
    segments_in,
    write_bytes,
    write_segment,
)


def only(folder: Path) -> Segment:
    [segment] = list_segments(folder)
    return segment


def read_all(segment: Segment, limit: int = 500) -> list[Batch]:
    batches = [read_batch(segment, 0, limit)]
    while batches[-1].next_offset > batches[-1].start:
        batches.append(read_batch(segment, batches[-1].next_offset, limit))
    return batches[:-1]


def test_segments_come_oldest_first(tmp_path: Path) -> None:
    for number in (3, 1, 2):
        write_segment(tmp_path, number, [])
    for stranger in ("id", "worker-1-5-6.seg", "worker-1-1763640000001-77-0001.new", "dead"):
        (tmp_path / stranger).write_bytes(b"")
    assert [each.name for each in list_segments(tmp_path)] == [segment_name(n) for n in (1, 2, 3)]
    assert list_segments(tmp_path / "nowhere") == []


def test_batches_follow_each_other(tmp_path: Path) -> None:
    write_segment(tmp_path, 1, records(1203))
    batches = read_all(only(tmp_path))
    assert [len(batch.lines) for batch in batches] == [500, 500, 203]
    assert [each for batch in batches for each in batch.records] == records(1203)
    lines = [line for batch in batches for line in batch.lines]
    assert [line.end for line in lines[:-1]] == [line.start for line in lines[1:]]
    assert lines[7].raw == line_of(record(7))


def test_the_last_line_of_an_active_segment_is_not_there_yet(tmp_path: Path) -> None:
    active = ActiveSegment(tmp_path, 1)
    first, second = line_of(record(1)), line_of(record(2))
    active.append(first + second[:50])
    batch = read_batch(only(tmp_path), 0)
    assert (batch.records, batch.bad, batch.next_offset) == ([record(1)], (), len(first))
    assert read_batch(only(tmp_path), len(first)).next_offset == len(first)
    active.append(second[50:])
    assert read_batch(only(tmp_path), len(first)).records == [record(2)]
    active.finish()


def test_the_torn_last_line_of_a_finished_segment_is_reported(tmp_path: Path) -> None:
    first, torn = line_of(record(1)), line_of(record(2))[:50]
    write_bytes(tmp_path, 1, first + torn)
    batch = read_batch(only(tmp_path), 0)
    assert batch.records == [record(1)]
    [bad] = batch.bad
    assert (bad.start, bad.end, bad.raw) == (len(first), len(first) + 50, torn)
    assert batch.next_offset == len(first) + 50


@pytest.mark.parametrize(
    "bad",
    [
        b"\n",
        b"nonsense\n",
        b"00000000 {}\n",
        b"\xff\xfe\x00\x00\n",
        line_of(record(9))[:40] + b"\n",
        line_of(record(9)).replace(b"openai", b"0penai"),
        b"x" * 700_000 + b"\n",
        bytes(5000) + b"\n",
    ],
    ids=["empty", "text", "checksum", "binary", "half", "changed", "long", "zeros"],
)
def test_a_corrupt_line_costs_itself_only(tmp_path: Path, bad: bytes) -> None:
    before, after = line_of(record(1)), line_of(record(2))
    write_bytes(tmp_path, 1, before + bad + after)
    batch = read_batch(only(tmp_path), 0)
    assert batch.records == [record(1), record(2)]
    [span] = batch.bad
    assert (span.start, span.end) == (len(before), len(before) + len(bad))
    assert bad.startswith(span.raw)


def test_a_record_larger_than_a_page_and_a_piece(tmp_path: Path) -> None:
    large = record(1, content=Content(input="i" * 5_000, output="ö" * 3_000_000))
    write_segment(tmp_path, 1, [record(0), large, record(2)])
    batches = read_all(only(tmp_path))
    assert [each for batch in batches for each in batch.records] == [record(0), large, record(2)]


def test_a_line_too_long_for_any_record_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments_module, "_LONGEST_LINE", 10_000)
    write_bytes(tmp_path, 1, b"z" * 1_000_000 + b"\n" + line_of(record(1)))
    [batch] = read_all(only(tmp_path))
    assert batch.records == [record(1)]
    assert batch.bad[0].end == 1_000_001
    assert "1000001 bytes" in batch.bad[0].reason


def test_memory_stays_flat(tmp_path: Path) -> None:
    line = line_of(record(1, content=Content(output="o" * 20_000)))
    path = write_bytes(tmp_path, 1, line * 3000)
    segment, at, size = only(tmp_path), 0, path.stat().st_size
    tracemalloc.start()
    while at < size:
        at = read_batch(segment, at).next_offset
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 60_000_000
    assert peak < 20_000_000


@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_whatever_lies_between_no_record_is_lost(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    noise = st.binary(max_size=200).map(lambda part: part.replace(b"\n", b"") + b"\n")
    parts = data.draw(st.lists(st.one_of(noise, st.just(None)), max_size=20))
    sent = records(sum(part is None for part in parts))
    lines = iter(map(line_of, sent))
    folder = tmp_path_factory.mktemp("spool")
    whole = b"".join(next(lines) if part is None else part for part in parts)
    write_bytes(folder, 1, whole + data.draw(st.binary(max_size=20)))
    batches = read_all(only(folder), data.draw(st.integers(1, 7)))
    assert [each for batch in batches for each in batch.records] == sent
    spans = sorted(
        [(line.start, line.end) for batch in batches for line in batch.lines]
        + [(bad.start, bad.end) for batch in batches for bad in batch.bad]
    )
    assert [start for start, _ in spans] == [0, *(end for _, end in spans)][: len(spans)]


def test_only_finished_and_shipped_segments_are_removed(tmp_path: Path) -> None:
    active = ActiveSegment(tmp_path, 1)
    active.append(b"12345")
    segment = only(tmp_path)
    assert not is_finished(segment)
    assert not remove(segment, 5)
    active.finish()
    assert is_finished(segment)
    assert not remove(segment, 4)
    assert segments_in(tmp_path) == [segment.name]
    assert remove(segment, 5)
    assert segments_in(tmp_path) == []
    assert remove(segment, 5)


def test_an_empty_segment_stays_until_it_is_old(tmp_path: Path) -> None:
    path = write_bytes(tmp_path, 1, b"")
    assert not remove(only(tmp_path), 0)
    long_ago = time.time() - 100  # noqa: TID251 - a file's age is by the wall clock.
    os.utime(path, (long_ago, long_ago))
    assert remove(only(tmp_path), 0)


def test_a_spool_keeps_its_id(tmp_path: Path) -> None:
    first = spool_id(tmp_path / "a")
    assert spool_id(tmp_path / "a") == first
    assert spool_id(tmp_path / "b") != first
    assert list((tmp_path / "a").glob("*.new")) == []
