"""The spool: a line is on the disk when `append` returns, or waits, or is counted as lost."""

import fcntl
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.usage.segments import is_finished, list_segments
from proxy.usage.spool import Spool, SpoolOptions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def contents(folder: Path) -> bytes:
    return b"".join(segment.path.read_bytes() for segment in list_segments(folder))


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


def test_a_line_is_in_the_file_when_append_returns(folder: Path) -> None:
    spool = Spool(folder, "worker-0", SpoolOptions())
    spool.append(b"one\n")
    assert contents(folder) == b"one\n"
    spool.append(b"two\n")
    assert contents(folder) == b"one\ntwo\n"
    assert (spool.written, spool.waiting, spool.lost, spool.failing) == (2, 0, 0, False)
    spool.close()


def test_the_segment_is_locked_while_it_is_written_and_free_when_it_is_finished(
    folder: Path,
) -> None:
    spool = Spool(folder, "worker-0", SpoolOptions())
    spool.append(b"one\n")
    (segment,) = list_segments(folder)
    assert not is_finished(segment)
    spool.close()
    assert is_finished(segment)
    assert segment.name.startswith("worker-0-")


def test_a_full_segment_is_followed_by_another(folder: Path) -> None:
    spool = Spool(folder, "worker-0", SpoolOptions(segment=10))
    for line in (b"12345\n", b"67890\n", b"abc\n"):
        spool.append(line)
    spool.close()
    assert [s.path.read_bytes() for s in list_segments(folder)] == [b"12345\n", b"67890\nabc\n"]


def test_on_a_full_disk_lines_wait_whole_and_in_order(folder: Path) -> None:
    spool = Spool(folder, "worker-0", SpoolOptions())
    spool.append(b"first\n")
    with disk_with_room_for(10):
        spool.append(b"second\n")
        spool.append(b"third\n")
        assert spool.failing
        assert spool.waiting == 2
        assert contents(folder) == b"first\n"  # No half line is left behind.
    spool.append(b"fourth\n")
    assert not spool.failing
    assert contents(folder) == b"first\nsecond\nthird\nfourth\n"
    spool.close()


def test_what_memory_has_no_room_for_is_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.usage.spool._WAITING_LINES", 2)
    spool = Spool(folder, "worker-0", SpoolOptions())
    spool.open()
    with disk_with_room_for(0):
        for _ in range(5):
            spool.append(b"line\n")
        assert (spool.waiting, spool.lost) == (2, 3)
    spool.close()
    assert contents(folder) == b"line\nline\n"


def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    spool = Spool(tmp_path / "file" / "spool", "worker-0", SpoolOptions())
    spool.open()
    assert spool.failing
    spool.append(b"x\n")
    assert spool.waiting == 1


def test_no_segment_is_seen_before_it_is_locked(folder: Path) -> None:
    spool = Spool(folder, "worker-0", SpoolOptions())
    spool.open()
    (segment,) = list_segments(folder)
    descriptor = os.open(segment.path, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.close(descriptor)
    spool.close()
