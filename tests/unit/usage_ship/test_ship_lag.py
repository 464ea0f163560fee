"""How far behind the shipper says it is: since records were written, however long requests took."""

from pathlib import Path

import pytest

from proxy.base.clock import wall
from proxy.usage.report_lag import SpoolLook
from proxy.usage.segments import list_segments, sizes_of
from proxy.usage.ship_lag import Progress
from proxy.wire.brief import Brief
from proxy.wire.lots import spelled_out
from proxy.wire.record_reader import Told
from tests.unit.stores.records import record
from tests.unit.usage_ship.spool_files import write_segment
from tests.unit.wire_usage.usual import STANDING, numbers

AN_HOUR = 3_600_000_000


def streamed_for_an_hour() -> list[Told]:
    """Written just now, as a record and in short."""
    begun = int(wall() * 1_000_000) - AN_HOUR
    return [
        record(1, at=begun, done=AN_HOUR),
        Brief(STANDING, numbers(1, at=begun, done=AN_HOUR)),
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["record", "brief"])
def test_a_long_stream_is_not_old_when_it_has_just_ended(tmp_path: Path, which: int) -> None:
    write_segment(tmp_path, 1, [record(1)])
    segments = list_segments(tmp_path)
    progress = Progress()
    progress.look(segments, sizes_of(segments))
    progress.read(streamed_for_an_hour()[which], 100, 1)
    assert progress.lag().seconds < 60


def test_neither_does_a_report_take_it_for_old(tmp_path: Path) -> None:
    write_segment(tmp_path, 1, spelled_out(streamed_for_an_hour()[:1]))
    assert SpoolLook(tmp_path).lag({}).seconds < 60
