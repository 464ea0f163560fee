"""Segments with room allocated ahead, which is NUL: what is not written yet is never read."""

import os
import random
from pathlib import Path

import pytest

from proxy.usage.segments import Segment, is_finished, list_segments, read_batch, remove, sizes_of
from proxy.usage.shipper import Shipper
from proxy.wire.record import Content, line_of
from tests.unit.stores.records import record, records
from tests.unit.usage_ship.memory_store import MemoryStore
from tests.unit.usage_ship.spool_files import ActiveSegment, segments_in, write_bytes

ROOM = 10_000


class RoomySegment(ActiveSegment):
    """One that is being written, `ROOM` bytes long from the beginning."""

    def __init__(self, folder: Path, number: int = 1) -> None:
        super().__init__(folder, number)
        with self.path.open("r+b") as file:
            file.truncate(ROOM)

    def put(self, data: bytes, at: int) -> None:
        with self.path.open("r+b") as file:
            file.seek(at)
            file.write(data)


def only(folder: Path) -> Segment:
    [segment] = list_segments(folder)
    return segment


def test_room_ahead_is_no_line(tmp_path: Path) -> None:
    active = RoomySegment(tmp_path)
    assert read_batch(only(tmp_path), 0).next_offset == 0
    assert sizes_of([only(tmp_path)]) == {active.path.name: 0}
    line = line_of(record(1))
    active.put(line, 0)
    batch = read_batch(only(tmp_path), 0)
    assert (batch.records, batch.bad, batch.next_offset) == ([record(1)], (), len(line))
    assert read_batch(only(tmp_path), len(line)).next_offset == len(line)
    assert sizes_of([only(tmp_path)]) == {active.path.name: len(line)}
    assert not remove(only(tmp_path), ROOM)
    active.finish()


@pytest.mark.parametrize("seed", range(20))
def test_a_line_in_the_making_is_never_taken_for_a_corrupt_one(tmp_path: Path, seed: int) -> None:
    """A copy in memory may become visible in any order of its bytes."""
    chance = random.Random(seed)
    active = RoomySegment(tmp_path)
    first, second = line_of(record(1)), line_of(record(2))
    active.put(first, 0)
    left = list(range(len(second)))
    chance.shuffle(left)
    while left:
        batch = read_batch(only(tmp_path), 0)
        assert (batch.records, batch.bad, batch.next_offset) == ([record(1)], (), len(first))
        for _ in range(min(len(left), 40)):
            at = left.pop()
            active.put(second[at : at + 1], len(first) + at)
    assert read_batch(only(tmp_path), 0).records == [record(1), record(2)]
    active.finish()


def test_a_line_that_fills_the_room_and_more(tmp_path: Path) -> None:
    active = RoomySegment(tmp_path)
    large = line_of(record(1, content=Content(output="o" * 600_000)))
    active.put(large[:ROOM], 0)
    assert read_batch(only(tmp_path), 0).next_offset == 0
    active.put(large[ROOM:] + bytes(700_000), ROOM)
    batch = read_batch(only(tmp_path), 0)
    assert [each.id for each in batch.records] == [record(1).id]
    assert sizes_of([only(tmp_path)]) == {active.path.name: len(large)}
    active.finish()


def test_what_a_killed_writer_left_is_finished_without_its_room(tmp_path: Path) -> None:
    line = line_of(record(1))
    write_bytes(tmp_path, 1, line + bytes(ROOM))
    segment = only(tmp_path)
    assert is_finished(segment)
    batch = read_batch(segment, 0)
    assert (batch.records, batch.bad, batch.next_offset) == ([record(1)], (), len(line))
    assert read_batch(segment, len(line)).next_offset == len(line)
    assert sizes_of([segment]) == {segment.name: len(line)}
    assert not remove(segment, len(line) - 1)
    assert remove(segment, len(line))


def test_half_a_line_of_a_killed_writer_is_reported_without_the_room(tmp_path: Path) -> None:
    first, torn = line_of(record(1)), line_of(record(2))[:70]
    write_bytes(tmp_path, 1, first + torn + bytes(ROOM))
    batch = read_batch(only(tmp_path), 0)
    assert batch.records == [record(1)]
    [bad] = batch.bad
    assert (bad.start, bad.end, bad.raw) == (len(first), len(first) + 70, torn)
    assert remove(only(tmp_path), batch.next_offset)


def test_a_hole_that_a_crash_of_the_machine_left_hides_nothing_behind_it(tmp_path: Path) -> None:
    """Pages reach the disk in any order: bytes may be missing before others that are there."""
    before, after = line_of(record(1)), line_of(record(3))
    hole = bytes(8192) + line_of(record(2))[-30:]
    write_bytes(tmp_path, 1, before + hole + after + bytes(ROOM))
    segment = only(tmp_path)
    batch = read_batch(segment, 0)
    assert batch.records == [record(1), record(3)]
    assert [(bad.start, bad.end) for bad in batch.bad] == [(len(before), len(before + hole))]
    assert sizes_of([segment]) == {segment.name: len(before + hole + after)}
    assert not remove(segment, len(before))


async def test_the_shipper_follows_and_clears_up(tmp_path: Path) -> None:
    active = RoomySegment(tmp_path)
    store = MemoryStore()
    shipper = Shipper(tmp_path, store)
    at = 0
    for number in range(5):
        line = line_of(record(number))
        active.put(line, at)
        at += len(line)
        await shipper.drain()
        assert len(store.kept) == number + 1
        assert shipper.behind().bytes == 0
    active.put(b"half", at)
    active.finish()
    write_bytes(tmp_path, 2, bytes(ROOM))
    os.utime(tmp_path / segments_in(tmp_path)[1], (0, 0))  # So old that no writer is to come.
    await shipper.drain()
    assert store.kept == [each.id for each in records(5)]
    assert shipper.state().bad == 1
    assert segments_in(tmp_path) == []
