"""Become a PostgreSQL program: the first thing that runs in a child of ours, and then no more.

    python -I -S launch.py <parent's pid> <uid>:<gid>:<capability> <program> <arguments ...>

It drops root's privileges, asks Linux for SIGINT (a fast shutdown) at the death of its parent, and
executes the program. Of root's capabilities at most the one named is left, 0 for none: it reaches
files below a folder that only root may enter. Run as a file, with the standard library alone: what
must happen between fork and exec happens here, where no thread of the parent can have left a lock.

Exit code 126: the program may not be executed by that user; 127: it is not there.
"""

import contextlib
import ctypes
import os
import signal
import struct
import sys

NOT_ALLOWED = 126
NOT_THERE = 127

NICE = 3
"""Control may start us while it is patient (`processes/priority.py`); but it may be in a hurry
later, and would wait for us."""

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> int:
    """Turn this process into the program. Returns only if that fails."""
    parent, owner, program = arguments[0], arguments[1], arguments[2]
    try:
        _be_no_more_patient_than(NICE)
        if os.geteuid() == 0:
            _drop(*map(int, owner.split(":")))
        os.umask(0o077)
        _follow(int(parent))
        os.execv(program, arguments[2:])
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return NOT_THERE
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return NOT_ALLOWED


def _be_no_more_patient_than(nice: int) -> None:
    # Who may not take it back never had more: then it was given from outside.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # It takes the core from nobody when it is woken.
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if os.getpriority(os.PRIO_PROCESS, 0) > nice:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, nice)


def _drop(uid: int, gid: int, capability: int) -> None:
    if capability:
        _control(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if capability:
        _keep(capability)


def _keep(capability: int) -> None:
    # Ambient: it outlasts exec by a user who is not root. All others end here.
    bit = 1 << capability
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    sets = struct.pack("=6I", bit, bit, bit, 0, 0, 0)  # Effective, permitted, inheritable.
    if ctypes.CDLL(None, use_errno=True).capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "a capability cannot be kept")
    _control(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _follow(parent: int) -> None:
    # After the change of user, which would undo it.
    if sys.platform == "linux":
        _control(_PR_SET_PDEATHSIG, int(signal.SIGINT))
    if os.getppid() != parent:  # It died before we asked.
        os._exit(0)


def _control(option: int, *values: int) -> None:
    if sys.platform != "linux":
        raise OSError(0, "capabilities are kept on Linux only")
    given = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0)[:4]]
    if ctypes.CDLL(None, use_errno=True).prctl(option, *given) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} failed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
