"""Network namespaces, each a host of its own, joined by a bridge in a namespace of its own.

Nothing of the machine's own network is touched: the bridge and both ends of every cable lie in
namespaces that bear our process id, so removing these removes all. They are removed when the block
ends, however it ends; those of a run that was killed are found by the id of a process that is gone
and removed by the next run, with the processes in them. Needs root on Linux and `ip` (Debian's
package iproute2).
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.children import ChildFailed

_NAMED = Path("/run/netns")
_OURS = re.compile(r"llm-hosts-(\d+)-[a-z0-9]+$")
_NEWNET = 0x40000000
_SWITCH = "switch"
_PATIENCE = 10.0

STORE, VENDOR, LOAD = "store", "vendor", "load"


class Network:
    """The namespaces of one run, by role."""

    def __init__(self, hosts: int) -> None:
        self.hosts = tuple(f"host{number}" for number in range(1, hosts + 1))
        self.roles = (STORE, VENDOR, LOAD, *self.hosts)

    def address(self, role: str) -> str:
        """Of the role's only interface. No other network knows these."""
        if role in self.hosts:
            return f"10.251.0.{11 + self.hosts.index(role)}"
        return f"10.251.0.{2 + self.roles.index(role)}"

    def name(self, role: str) -> str:
        """As `ip netns` lists it."""
        return f"llm-hosts-{os.getpid()}-{role}"

    def within(self, role: str, command: Sequence[str]) -> list[str]:
        """The arguments of `ip` that run a command there, in the same process."""
        return ["netns", "exec", self.name(role), *command]

    def commands(self) -> Iterator[list[str]]:
        """All that makes the network, as arguments of `ip`."""
        switch = self.name(_SWITCH)
        yield ["netns", "add", switch]
        yield ["-n", switch, "link", "add", "bridge0", "type", "bridge"]
        yield ["-n", switch, "link", "set", "bridge0", "up"]
        for role in self.roles:
            own = self.name(role)
            cable = ["link", "add", role, "type", "veth", "peer", "name", "eth0", "netns", own]
            yield ["netns", "add", own]
            yield ["-n", switch, *cable]
            yield ["-n", switch, "link", "set", role, "master", "bridge0", "up"]
            yield ["-n", own, "address", "add", f"{self.address(role)}/24", "dev", "eth0"]
            yield ["-n", own, "link", "set", "lo", "up"]
            yield ["-n", own, "link", "set", "eth0", "up"]

    @contextmanager
    def up(self) -> Iterator[None]:
        """Make it, and be on it as the load; then remove it. Raises ChildFailed."""
        refuse_where_impossible(os.geteuid())
        _clear_abandoned()
        before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            for command in self.commands():
                _ = _ip(command)
            _enter(_NAMED / self.name(LOAD))
            yield
        finally:
            _set_namespace(before)
            os.close(before)
            remove(self.name(role) for role in (*self.roles, _SWITCH))


def refuse_where_impossible(user: int) -> None:
    """Raises ChildFailed, with what is missing. `user`: who wants it."""
    if not Path("/proc/self/ns/net").exists():
        raise ChildFailed("network namespaces are Linux only")
    if user != 0:
        raise ChildFailed("network namespaces need root: run it with sudo")
    if shutil.which("ip") is None:
        raise ChildFailed("`ip` is missing: install iproute2 (apt-get install iproute2)")


def owners(names: Iterable[str]) -> dict[str, int]:
    """The namespaces that a run like this has made, and the process that made each."""
    return {name: int(match[1]) for name in names if (match := _OURS.match(name))}


def remove(names: Iterable[str]) -> None:
    """Remove those of the namespaces that there are, and all that is in them."""
    for name in names:
        if (_NAMED / name).exists():
            # What cannot be removed now is removed by the next run.
            with suppress(ChildFailed):
                _ = _ip(["netns", "delete", name])


def _clear_abandoned() -> None:
    there = os.listdir(_NAMED) if _NAMED.is_dir() else []
    left = [name for name, pid in owners(there).items() if not Path(f"/proc/{pid}").exists()]
    for name in left:
        for pid in _ip(["netns", "pids", name]).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    remove(left)


def _ip(arguments: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            ["ip", *arguments], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ChildFailed(f"ip {' '.join(arguments)}: no end in {_PATIENCE:g} s") from error
    if done.returncode != 0:
        raise ChildFailed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _enter(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set_namespace(descriptor)
    finally:
        os.close(descriptor)


def _set_namespace(descriptor: int) -> None:
    # Of this thread, and of the threads and processes that it starts. os.setns came with 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEWNET) != 0:
        raise ChildFailed(f"setns: {os.strerror(ctypes.get_errno())}")
