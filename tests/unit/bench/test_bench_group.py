"""A server under test is in a group of its own where Linux would group by session otherwise."""

from pathlib import Path

import pytest

from bench import group
from bench.children import Child, ChildFailed
from bench.measure import cores, lives, start_time

_SLEEP = "import time; time.sleep(60)"


class Machine:
    """What a machine says of its groups, below a folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._folder = folder
        self.groups = folder / "groups"
        self.groups.mkdir()
        for name in ("_AUTOGROUP", "_OWN", "_MOUNTS"):
            monkeypatch.setattr(group, name, folder / name)

    def say(self, *, autogroup: str = "1\n", own: str, mounts: str) -> None:
        (self._folder / "_AUTOGROUP").write_text(autogroup)
        (self._folder / "_OWN").write_text(own)
        (self._folder / "_MOUNTS").write_text(mounts)

    def first(self, options: str = "rw,cpu") -> str:
        return f"cgroup {self.groups} cgroup {options} 0 0\n"

    def second(self) -> str:
        return f"cgroup2 {self.groups} cgroup2 rw 0 0\n"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


def test_both_versions_of_groups_are_found(machine: Machine) -> None:
    machine.say(own="3:cpu,cpuacct:/\n0::/\n", mounts=machine.first("rw,cpu,cpuacct"))
    assert group.place() == machine.groups
    machine.say(own="0::/\n", mounts=f"tmpfs / tmpfs rw 0 0\n{machine.second()}")
    assert group.place() is None  # It shares out no processor.
    (machine.groups / "cgroup.subtree_control").write_text("cpu io memory\n")
    assert group.place() == machine.groups
    assert group.told() == group.OWN


@pytest.mark.parametrize("own", ["0::/system.slice/a.service\n", "3:cpu:/docker/1\n0::/\n"])
def test_none_is_made_where_sessions_do_not_count(machine: Machine, own: str) -> None:
    machine.say(own=own, mounts=machine.first())
    assert (group.place(), group.told()) == (None, group.NOT_NEEDED)
    machine.say(autogroup="0\n", own="3:cpu:/\n", mounts=machine.first())
    assert (group.place(), group.told()) == (None, group.NOT_NEEDED)


def test_a_report_says_where_none_can_be_made(machine: Machine) -> None:
    machine.say(own="0::/\n", mounts="tmpfs / tmpfs rw 0 0\n")
    assert (group.place(), group.told()) == (None, group.NONE)


def test_a_child_is_in_a_group_for_as_long_as_it_lives() -> None:
    if group.place() is None:
        assert group.told() in (group.NONE, group.NOT_NEEDED)  # As on most machines of one's own.
        return
    with Child("server", ["-c", _SLEEP], cores=cores(), apart=True) as child:
        told = Path(f"/proc/{child.pid}/cgroup").read_text()
        assert f":/llm-proxy-bench-{child.pid}\n" in told
        made = next(each for each in _folders() if each.name.endswith(str(child.pid)))
    assert not made.exists()


def test_a_child_that_cannot_be_grouped_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[int] = []

    def refused(place: Path, pid: int) -> None:
        started.append(pid)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(group, "place", lambda: tmp_path)
    monkeypatch.setattr(group, "Group", refused)
    with pytest.raises(ChildFailed, match=r"server: it cannot have a control group: .*permitted"):
        Child("server", ["-c", _SLEEP], cores=cores(), apart=True)
    assert not lives(started[0], start_time(started[0]))


def _folders() -> list[Path]:
    root = group.place()
    assert root is not None
    return list(root.iterdir())
