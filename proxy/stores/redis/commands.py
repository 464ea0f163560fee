"""The scripts, and commands as the bytes that are sent.

A script is called by its SHA-1; a server that does not know it says NOSCRIPT, is given all of them,
and asked again. Everything a script needs is in one or two arguments, for each costs both sides.
"""

import hashlib
from functools import lru_cache
from importlib import resources
from typing import Final, NamedTuple

NAMES: Final = ("take", "finish", "grow", "renew")


class Scripts(NamedTuple):
    """How to call each script: the bytes up to its first key; and how to load all of them."""

    take: bytes
    take_both: bytes
    finish: bytes
    finish_all: bytes  # Up to the number of keys.
    grow: bytes
    renew: bytes
    load: tuple[bytes, ...]


@lru_cache(maxsize=1)
def scripts() -> Scripts:
    """The scripts of this package, read once: from a disk, so not in the loop."""
    folder = resources.files(__package__).joinpath("scripts")
    common = folder.joinpath("common.lua").read_bytes()
    sources = [common + folder.joinpath(f"{name}.lua").read_bytes() for name in NAMES]
    take, finish, grow, renew = sources
    return Scripts(
        take=_call(take, 1, 2),
        take_both=_call(take, 2, 4),
        finish=_call(finish, 1, 1),
        finish_all=_begin(finish),
        grow=_call(grow, 1, 1),
        renew=_call(renew, 1, 0),
        load=tuple(command(b"SCRIPT", b"LOAD", source) for source in sources),
    )


def _call(source: bytes, keys: int, arguments: int) -> bytes:
    return b"*%d\r\n" % (3 + keys + arguments) + _begin(source) + bulk(b"%d" % keys)


def _begin(source: bytes) -> bytes:
    sha = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
    return bulk(b"EVALSHA") + bulk(sha)


def bulk(value: bytes) -> bytes:
    """One argument of a command."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def command(*words: bytes) -> bytes:
    """A command."""
    return b"*%d\r\n" % len(words) + b"".join(map(bulk, words))
