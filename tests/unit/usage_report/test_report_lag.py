"""How far the store is behind, from the files of the spool and the positions in the store."""

from pathlib import Path

import pytest

from proxy.base.clock import wall
from proxy.usage.report_lag import SpoolLook
from proxy.usage.ship_lag import Lag
from proxy.wire.record import line_of
from tests.unit.stores.records import record

BEGUN = 1_763_640_000_000


def _segment(folder: Path, number: int, data: bytes) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "id").write_text("0123abcd")
    path = folder / f"worker-1-{BEGUN + number:013d}-77-{number:04d}.seg"
    path.write_bytes(data)
    return f"0123abcd/{path.name}"


def test_a_spool_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    look = SpoolLook(tmp_path / "spool")
    assert look.names == []
    assert look.lag({}) == Lag()
    assert not (tmp_path / "spool").exists()


def test_what_was_shipped_does_not_wait(tmp_path: Path) -> None:
    data = line_of(record(1))
    name = _segment(tmp_path, 1, data)
    look = SpoolLook(tmp_path)
    assert look.names == [name]
    assert look.lag({name: len(data)}) == Lag()
    assert look.lag({name: len(data) + 100}) == Lag()  # It grew and was shipped since the look.


def test_what_waits_is_counted_and_its_age_is_that_of_the_oldest(tmp_path: Path) -> None:
    now = wall()
    lines = [line_of(record(n, at=int((now - 100 + n) * 1e6))) for n in range(4)]
    first = _segment(tmp_path, 1, b"".join(lines[:3]))
    _segment(tmp_path, 2, lines[3])
    lag = SpoolLook(tmp_path).lag({first: len(lines[0])})
    assert lag.records == 3
    assert lag.bytes == sum(map(len, lines[1:]))
    assert lag.seconds == pytest.approx(99, abs=5)


def test_bytes_that_are_no_record_wait_since_the_segment_was_begun(tmp_path: Path) -> None:
    _segment(tmp_path, 1, b"torn")
    lag = SpoolLook(tmp_path).lag({})
    assert (lag.records, lag.bytes) == (0, 4)
    assert lag.seconds == pytest.approx(wall() - BEGUN / 1000, abs=5)


def test_a_segment_that_goes_away_meanwhile_breaks_nothing(tmp_path: Path) -> None:
    name = _segment(tmp_path, 1, line_of(record(1)))
    look = SpoolLook(tmp_path)
    (tmp_path / name.partition("/")[2]).unlink()
    assert look.lag({}).records == 0


def test_a_spool_without_an_id_was_never_shipped(tmp_path: Path) -> None:
    _segment(tmp_path, 1, line_of(record(1)))
    (tmp_path / "id").unlink()
    assert SpoolLook(tmp_path).lag({}).records == 1
