"""Become a PostgreSQL program: the first thing that runs in a child of ours, and then no more.

    python -I -S launch.py <parent's pid> <uid>:<gid> <program> <arguments ...>

It drops root's privileges, asks Linux for SIGINT (a fast shutdown) at the death of its parent, and
executes the program. Run as a file, with the standard library alone: what must happen between fork
and exec happens here, where no thread of the parent can have left a lock behind.

Exit code 126: the program may not be executed by that user; 127: it is not there.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
NOT_ALLOWED = 126
NOT_THERE = 127


def main(arguments: list[str]) -> int:
    """Turn this process into the program. Returns only if that fails."""
    parent, owner, program = arguments[0], arguments[1], arguments[2]
    if os.geteuid() == 0:
        uid, _, gid = owner.partition(":")
        _drop(int(uid), int(gid))
    os.umask(0o077)
    _follow(int(parent))
    try:
        os.execv(program, arguments[2:])
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return NOT_THERE
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return NOT_ALLOWED


def _drop(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _follow(parent: int) -> None:
    # After the change of user, which would undo it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
    if os.getppid() != parent:  # It died before we asked.
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
