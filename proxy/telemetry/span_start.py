"""Ids, times and flags of a span: what stands first in each (OTLP's `trace.proto`)."""

from hashlib import blake2b
from struct import Struct
from struct import error as StructError

_SAMPLED = 0x01
_HAS_IS_REMOTE = 0x100
_IS_REMOTE = 0x200

TRACE_ID, START, END = b"\x0a\x10", b"\x39", b"\x41"
"""Before the sixteen bytes of an id, and the eight of a time."""
_SPAN_ID, _PARENT_ID = b"\x12\x08", b"\x22\x08"
_SPAN_ID_HEX, _PARENT_ID_HEX = _SPAN_ID.hex(), _PARENT_ID.hex()
_FLAGS = b"\x85\x01"

ROOT = _FLAGS + (_SAMPLED | _HAS_IS_REMOTE).to_bytes(4, "little")
"""Flags of a span whose parent is here, or that has none."""
OF_REMOTE = _FLAGS + (_SAMPLED | _HAS_IS_REMOTE | _IS_REMOTE).to_bytes(4, "little")
"""Those of a span whose parent is the caller's."""

TRACE, SPAN = 16, 8
"""Bytes of an id."""
IDS = TRACE + len(_SPAN_ID) + SPAN
IDS_WITH_PARENT = IDS + len(_PARENT_ID) + SPAN
"""Bytes of all ids of a span, as they are told behind `TRACE_ID`."""
_NO_ID = bytes(TRACE)
_NO_TRACE, _NO_SPAN = "0" * 2 * TRACE, "0" * 2 * SPAN

_times = Struct("<sQsQ").pack


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
