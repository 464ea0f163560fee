"""Whom PostgreSQL runs as: ourselves, or `nobody` when we are root, which it refuses to be.

Nothing is opened up for that user. Where a folder is closed to it, `children.py` looks for a way
in; where there is none the folder is named in the refusal, and its owner decides.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

_OVERFLOW = 65534
"""The number of `nobody` where no file says so, as in an image with nothing but a program."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user of the PostgreSQL processes. `other`: it is not the one we are. `named`: the system
    knows a name for it; in a container a user may be a number alone."""

    uid: int
    gid: int
    other: bool
    named: bool

    def give(self, path: Path) -> None:
        """Make the account the owner of a file or folder that we made."""
        if self.other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def barred_from(self, path: Path) -> Path | None:
        """The first folder on the way to `path`, itself included, that it may not enter."""
        if not self.other:
            return None
        for folder in (*reversed(path.parents), path):
            if not self._may_enter(folder.stat()):
                return folder
        return None

    def _may_enter(self, status: os.stat_result) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def account() -> Account:
    """Ourselves, or `nobody` when we are root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), other=False, named=_has_name(os.geteuid()))
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Account(_OVERFLOW, _OVERFLOW, other=True, named=_has_name(_OVERFLOW))
    return Account(entry.pw_uid, entry.pw_gid, other=True, named=True)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
