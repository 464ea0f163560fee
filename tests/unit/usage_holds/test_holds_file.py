"""Slots of a file: filled, cleared, used again, never more than allowed, gone with the last one."""

import fcntl
import os
from pathlib import Path

import pytest

from proxy.usage.holds_file import SLOT, WIDEST, HoldsFile, Place


def line(text: str) -> bytes:
    return text.encode() + b"\n"


def filled(file: HoldsFile, text: bytes) -> Place:
    place = file.put(text)
    assert place is not None
    return place


def content(file: HoldsFile) -> set[bytes]:
    """Whatever stands in slots, read as another process does."""
    assert file.path is not None
    data = file.path.read_bytes()
    slots = [data[at : at + WIDEST * SLOT] for at in range(0, len(data), SLOT)]
    return {slot[: slot.find(b"\n") + 1] for slot in slots if slot[0]}


@pytest.fixture(params=["mapped", "written"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> HoldsFile:
    made = HoldsFile(tmp_path / "holds", "worker-0", mapped=request.param == "mapped")
    made.open()
    return made


def test_what_is_put_is_seen_by_others_until_it_is_cleared(file: HoldsFile) -> None:
    one, two = filled(file, line("one")), filled(file, line("two"))
    assert content(file) == {b"one\n", b"two\n"}
    file.free(one)
    assert content(file) == {b"two\n"}
    file.free(two)
    assert content(file) == set()
    assert file.in_use() == 0


def test_places_are_used_again(file: HoldsFile) -> None:
    assert file.path is not None
    for number in range(1000):
        file.free(filled(file, line(f"{number}")))
    assert file.path.stat().st_size <= 64 * SLOT


def test_it_grows_and_nothing_is_lost(file: HoldsFile) -> None:
    lines = {line(f"number {number}") for number in range(5000)}
    places = [filled(file, each) for each in lines]
    assert content(file) == lines
    for place in places[1:]:
        file.free(place)
    assert file.in_use() == 1
    assert len(content(file)) == 1


def test_long_lines_have_several_slots(file: HoldsFile) -> None:
    long, longest = line("x" * (SLOT + 5)), line("y" * (WIDEST * SLOT - 1))
    kept = [filled(file, each) for each in (line("a"), long, line("b"), longest)]
    assert {long, longest, line("a"), line("b")} <= content(file)
    file.free(kept[1])
    again = filled(file, line("z" * (SLOT + 900)))
    assert again is kept[1]
    assert file.put(line("y" * WIDEST * SLOT)) is None
    assert file.put(line("short")) is not None  # That one alone was too long.


def test_it_has_an_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = HoldsFile(tmp_path / "holds", "worker-0", most=3 * SLOT)
    file.open()
    places = [filled(file, line("x")) for _ in range(3)]
    assert file.put(line("x")) is None
    assert file.put(line("x")) is None
    assert caplog.text.count("outlives no kill") == 1
    file.free(places[0])
    assert file.put(line("x")) is places[0]


def test_the_file_is_locked_until_it_is_closed_and_goes_when_it_is_empty(file: HoldsFile) -> None:
    assert file.path is not None
    place = filled(file, line("x"))
    other = os.open(file.path, os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.free(place)
    file.close()
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    assert not file.path.exists()
    file.close()


def test_a_file_with_a_line_stays(file: HoldsFile) -> None:
    _ = filled(file, line("x"))
    file.close()
    assert content(file) == {b"x\n"}


def test_two_of_one_name_are_two_files(tmp_path: Path) -> None:
    files = [HoldsFile(tmp_path, "worker-0") for _ in range(5)]
    for each in files:
        each.open()
    assert len({each.path for each in files}) == 5
    for each in files:
        each.close()
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_holds_go_on_and_it_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "holds").write_bytes(b"in the way")
    file = HoldsFile(tmp_path / "holds", "worker-0")
    file.open()
    assert file.put(line("x")) is None
    assert file.put(line("x")) is None
    assert caplog.text.count("outlives no kill") == 1
    file.close()
