"""A control group for each server under test, as it would have in a container.

Linux gives each session of the root control group the same share of a core (`autogroup`,
sched(7)), and each process of PostgreSQL begins a session: there it weighs as much as all else of
a server together, whatever its priority. In a container, or a service of systemd, nothing is
grouped so. Where we may make groups, every server under test has one; where not, `told` says so.
"""

import os
from pathlib import Path
from typing import Final

_AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")
_OWN = Path("/proc/self/cgroup")
_MOUNTS = Path("/proc/self/mounts")
_MEMBERS = "cgroup.procs"
_CPU = "cpu"

OWN: Final = "each server under test in one of its own, as in a container"
NOT_NEEDED: Final = "that of this process: sessions are not grouped here"
NONE: Final = "none may be made here, so Linux groups processes by session (autogroup)"


class Group:
    """One group in `place`, of a process and all that it starts from now on."""

    def __init__(self, place: Path, pid: int) -> None:
        self._folder = place / f"llm-proxy-bench-{pid}"
        self._folder.mkdir(exist_ok=True)  # As a run that was killed may have left it.
        (self._folder / _MEMBERS).write_text(str(pid))

    def end(self) -> None:
        """Remove it. Its processes have ended."""
        self._folder.rmdir()


def place() -> Path | None:
    """The folder in which groups can be made, where processes are grouped by session otherwise."""
    if not _sessions_count():
        return None
    root = _root()
    return root if root is not None and os.access(root, os.W_OK) else None


def told() -> str:
    """For a report: what groups there are."""
    if not _sessions_count():
        return NOT_NEEDED
    return NONE if place() is None else OWN


def _sessions_count() -> bool:
    """Autogroup is on and this process in the root group, where alone it counts."""
    return _read(_AUTOGROUP) == "1" and _path(_read(_OWN)) == "/"


def _path(groups: str) -> str | None:
    """Of the group that shares out the processor: of its own hierarchy (v1), or the common one."""
    common = None
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if _CPU in controllers.split(","):
            return path
        if not controllers:
            common = path
    return common


def _root() -> Path | None:
    for line in _read(_MOUNTS).splitlines():
        _, point, kind, options, *_ = line.split()
        if kind == "cgroup" and _CPU in options.split(","):
            return Path(point)
        shared = Path(point) / "cgroup.subtree_control"
        if kind == "cgroup2" and _CPU in _read(shared).split():
            return Path(point)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:  # This system has none.
        return ""
