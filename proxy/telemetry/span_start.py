"""Ids, times and flags of a span: what stands first in each (OTLP's `trace.proto`)."""

from hashlib import blake2b
from struct import Struct
from struct import error as StructError
from typing import Final

_SAMPLED: Final = 0x01
_HAS_IS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200

TRACE_ID: Final = b"\x0a\x10"
"""Before the sixteen bytes of an id."""
START: Final = b"\x39"
"""Before the eight bytes of a time."""
END: Final = b"\x41"
_SPAN_ID: Final = b"\x12\x08"
_PARENT_ID: Final = b"\x22\x08"
_SPAN_ID_HEX: Final = _SPAN_ID.hex()
_PARENT_ID_HEX: Final = _PARENT_ID.hex()
_FLAGS: Final = b"\x85\x01"

ROOT: Final = _FLAGS + (_SAMPLED | _HAS_IS_REMOTE).to_bytes(4, "little")
"""Flags of a span whose parent is here, or that has none."""
OF_REMOTE: Final = _FLAGS + (_SAMPLED | _HAS_IS_REMOTE | _IS_REMOTE).to_bytes(4, "little")
"""Those of a span whose parent is the caller's."""

TRACE: Final = 16
"""Bytes of an id."""
SPAN: Final = 8
IDS: Final = TRACE + len(_SPAN_ID) + SPAN
IDS_WITH_PARENT: Final = IDS + len(_PARENT_ID) + SPAN
"""Bytes of all ids of a span, as they are told behind `TRACE_ID`."""
_NO_ID: Final = bytes(TRACE)
_NO_TRACE: Final = "0" * 2 * TRACE
_NO_SPAN: Final = "0" * 2 * SPAN

_times: Final = Struct("<sQsQ").pack


class BadIds(ValueError):
    """A record whose trace or span ids are not hex of the right length."""


def beginning(trace: bytes, span: bytes, parent: bytes | None, begun: int, ended: int) -> bytes:
    """Ids and times; these are microseconds. Raises ValueError."""
    begun, ended = (begun if begun > 0 else 0) * 1000, (ended if ended > 0 else 0) * 1000
    try:
        times = _times(START, begun, END, ended)
    except StructError:
        raise ValueError("a time beyond 64 bits") from None
    above = b"" if parent is None else _PARENT_ID + parent
    return b"%b%b%b%b%b%b" % (TRACE_ID, trace, _SPAN_ID, span, above, times)


def id_of(text: str | None, length: int) -> bytes:
    """An id of so many bytes. Raises BadIds."""
    try:
        octets = bytes.fromhex(text or "")
    except ValueError:
        raise BadIds("not hex") from None
    if len(octets) != length or _NO_ID.startswith(octets):
        raise BadIds(f"{len(octets)} bytes instead of {length}")
    return octets


def ids_of(
    trace: str | None, span: str | None, attempt: str | None, parent: str | None
) -> tuple[bytes, bytes]:
    """All ids of a request's span, and of that of its only attempt, each as they are told behind
    `TRACE_ID`. Raises BadIds."""
    if trace is None or span is None or attempt is None:
        raise BadIds("one is missing")
    if len(trace) != 2 * TRACE or len(span) != 2 * SPAN or len(attempt) != 2 * SPAN:
        raise BadIds("one is too short or too long")
    if trace == _NO_TRACE or _NO_SPAN in (span, attempt, parent):
        raise BadIds("all zeros")
    try:
        below = bytes.fromhex(f"{trace}{_SPAN_ID_HEX}{attempt}{_PARENT_ID_HEX}{span}")
        if len(below) != IDS_WITH_PARENT:
            raise BadIds("not hex alone")
        if parent is None:
            return bytes.fromhex(f"{trace}{_SPAN_ID_HEX}{span}"), below
        if len(parent) != 2 * SPAN:
            raise BadIds("one is too short or too long")
        above = bytes.fromhex(f"{trace}{_SPAN_ID_HEX}{span}{_PARENT_ID_HEX}{parent}")
    except ValueError:
        raise BadIds("not hex") from None
    if len(above) != IDS_WITH_PARENT:
        raise BadIds("not hex alone")
    return above, below


def made_up(server: bytes, number: int) -> bytes:
    """An id for an attempt that has none: the same each time it is told."""
    return blake2b(server + number.to_bytes(4, "big"), digest_size=SPAN).digest()
