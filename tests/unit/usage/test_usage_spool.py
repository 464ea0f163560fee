"""The spool: a line is on the disk when `append` returns, or waits, or is counted as lost.

Each in both ways of writing: through memory, and one `write` a line.
"""

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.usage.segments import is_finished, list_segments, read_batch, remove, sizes_of
from proxy.usage.spool import _WAITING_LINES, Spool, SpoolOptions
from proxy.wire.record import line_of
from tests.unit.stores.records import record

Make = Callable[..., Spool]

KILLED = """
import sys
from pathlib import Path
from proxy.usage.spool import Spool, SpoolOptions
from proxy.wire.record import line_of
from tests.unit.stores.records import record
import proxy.usage.spool as module
module.keeps_its_place = lambda _: True
spool = Spool(Path(sys.argv[1]), "worker-0", SpoolOptions(mapped=sys.argv[2] == "True", step=8192))
number = 0
while True:
    spool.append(line_of(record(number)))
    number += 1
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture(params=[True, False], ids=["mapped", "plain"])
def mapped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr("proxy.usage.spool.keeps_its_place", lambda _: True)
    return bool(request.param)


@pytest.fixture
def make(folder: Path, mapped: bool) -> Make:
    def make(segment: int = 1 << 20, step: int = 4096) -> Spool:
        return Spool(folder, "worker-0", SpoolOptions(segment=segment, step=step, mapped=mapped))

    return make


def contents(folder: Path) -> bytes:
    """What was written, room ahead of it aside."""
    return b"".join(segment.path.read_bytes().rstrip(b"\0") for segment in list_segments(folder))


@contextmanager
def disk_with_room_for(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: what a full disk looks like to the writer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_line_is_in_the_file_when_append_returns(folder: Path, make: Make) -> None:
    spool = make()
    spool.append(b"one\n")
    assert contents(folder) == b"one\n"
    spool.append(b"two\n")
    assert contents(folder) == b"one\ntwo\n"
    assert (spool.written, spool.waiting, spool.lost, spool.failing) == (2, 0, 0, False)
    (segment,) = list_segments(folder)
    assert sizes_of([segment]) == {segment.name: 8}
    spool.close()
    assert segment.path.read_bytes() == b"one\ntwo\n"


def test_the_segment_is_locked_while_it_is_written_and_free_when_it_is_finished(
    folder: Path, make: Make
) -> None:
    spool = make()
    spool.append(b"one\n")
    (segment,) = list_segments(folder)
    assert not is_finished(segment)
    spool.close()
    assert is_finished(segment)
    assert segment.name.startswith("worker-0-")


def test_a_full_segment_is_followed_by_another(folder: Path, make: Make) -> None:
    spool = make(segment=10)
    for line in (b"12345\n", b"67890\n", b"abc\n", b"longer than a segment\n", b"d\n"):
        spool.append(line)
    spool.close()
    assert [s.path.read_bytes() for s in list_segments(folder)] == [
        *(b"12345\n", b"67890\nabc\n", b"longer than a segment\n", b"d\n"),
    ]


def test_lines_go_on_where_a_window_ends(folder: Path, make: Make) -> None:
    lines = [b"%05d" % number * (1 + number * 7 % 900) + b"\n" for number in range(400)]
    spool = make(segment=1 << 19, step=8192)
    for line in lines:
        spool.append(line)
    assert contents(folder) == b"".join(lines)
    spool.close()
    files = [segment.path.read_bytes() for segment in list_segments(folder)]
    assert b"".join(files) == b"".join(lines)
    assert len(files) > 1
    assert all(len(data) <= 1 << 19 for data in files)


def test_on_a_full_disk_lines_wait_whole_and_in_order(folder: Path, make: Make) -> None:
    spool = make()
    lines = [name * 3000 + b"\n" for name in (b"1", b"2", b"3", b"4")]
    spool.append(lines[0])
    with disk_with_room_for(4096):
        spool.append(lines[1])
        spool.append(lines[2])
        assert spool.failing
        assert spool.waiting == 2
        assert contents(folder) == lines[0]  # No half line is left behind.
    spool.append(lines[3])
    assert not spool.failing
    assert contents(folder) == b"".join(lines)
    spool.close()


def test_what_memory_has_no_room_for_is_counted(folder: Path, make: Make) -> None:
    spool = make()
    with disk_with_room_for(0):
        spool.open()
        for _ in range(_WAITING_LINES + 3):
            spool.append(b"line\n")
        assert (spool.waiting, spool.lost) == (_WAITING_LINES, 3)
        assert len(list_segments(folder)) == 1
    spool.close()
    assert contents(folder) == b"line\n" * _WAITING_LINES


def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    spool = Spool(tmp_path / "file" / "spool", "worker-0", SpoolOptions())
    spool.open()
    assert spool.failing
    spool.append(b"x\n")
    assert spool.waiting == 1


def test_no_segment_is_seen_before_it_is_locked(folder: Path, make: Make) -> None:
    spool = make()
    spool.open()
    (segment,) = list_segments(folder)
    descriptor = os.open(segment.path, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.close(descriptor)
    spool.close()


def test_a_killed_worker_loses_no_line(folder: Path, mapped: bool) -> None:
    command = [sys.executable, "-c", KILLED, str(folder), str(mapped)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for said in process.stdout:
            if int(said) >= 100:
                break
        process.kill()
        rest = [int(said) for said in process.stdout if said.endswith("\n")]
    answered = rest[-1] if rest else 100
    (segment,) = list_segments(folder)
    assert is_finished(segment)
    batch = read_batch(segment, 0, limit=10**9)
    assert batch.records[:answered] == [record(number) for number in range(answered)]
    assert len(batch.bad) <= 1  # The line it was at when it was killed.
    assert sizes_of([segment])[segment.name] == batch.next_offset
    assert remove(segment, batch.next_offset)


def test_a_killed_worker_that_wrote_nothing_leaves_an_empty_segment(
    folder: Path, make: Make
) -> None:
    spool = make()
    spool.open()
    (segment,) = list_segments(folder)
    copy = segment.path.with_name("worker-0-1763640000000-77-0001.seg")
    copy.write_bytes(segment.path.read_bytes())
    (left, _) = list_segments(folder)
    assert read_batch(left, 0).next_offset == 0
    assert sizes_of([left]) == {left.name: 0}
    assert not remove(left, 0)  # Its writer may be about to lock it.
    os.utime(copy, (0, 0))
    assert remove(left, 0)
    spool.close()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENODEV])
def test_where_room_cannot_be_had_ahead_lines_are_written_one_by_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "not here")

    monkeypatch.setattr("proxy.usage.spool.keeps_its_place", lambda _: True)
    monkeypatch.setattr("os.posix_fallocate", refuse)
    spool = Spool(folder, "worker-0", SpoolOptions(segment=10))
    spool.open()
    for line in (b"123456\n", b"789012\n", b"345678\n"):
        spool.append(line)
    assert not spool.failing
    spool.close()
    assert contents(folder) == b"123456\n789012\n345678\n"
    assert len(caplog.messages) == 1


def test_where_files_are_copied_on_write_nothing_is_mapped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.usage.spool.filesystem_of", lambda _: "btrfs")
    spool = Spool(folder, "worker-0", SpoolOptions())
    spool.append(b"one\n")
    (segment,) = list_segments(folder)
    assert segment.path.read_bytes() == b"one\n"
    spool.close()


def test_a_line_that_is_too_long_for_any_window_goes_in_whole(folder: Path, make: Make) -> None:
    spool = make()
    large = line_of(record(1)).rstrip(b"\n") + b"x" * 50_000 + b"\n"
    spool.append(b"small\n")
    spool.append(large)
    spool.append(b"small\n")
    assert contents(folder) == b"small\n" + large + b"small\n"
    spool.close()
