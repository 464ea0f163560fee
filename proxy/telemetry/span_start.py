"""Ids, times and flags of a span: what stands first in each (OTLP's `trace.proto`)."""

from hashlib import blake2b
from struct import Struct
from struct import error as StructError

_SAMPLED = 0x01
_HAS_IS_REMOTE = 0x100
_IS_REMOTE = 0x200

_head = Struct("<2s16s2s8ssQsQ").pack
_TRACE_ID, _SPAN_ID, _START, _END = b"\x0a\x10", b"\x12\x08", b"\x39", b"\x41"
_FLAGS = b"\x85\x01"

PARENT_ID = b"\x22\x08"
"""Before the eight bytes of an id."""
ROOT = _FLAGS + (_SAMPLED | _HAS_IS_REMOTE).to_bytes(4, "little")
"""Flags of a span whose parent is here, or that has none."""
OF_REMOTE = _FLAGS + (_SAMPLED | _HAS_IS_REMOTE | _IS_REMOTE).to_bytes(4, "little")
"""Those of a span whose parent is the caller's."""

TRACE, SPAN = 16, 8
"""Bytes of an id."""
_NO_ID, _NO_SPAN = bytes(TRACE), bytes(SPAN)


class BadIds(ValueError):
    """A record whose trace or span ids are not hex of the right length."""


def beginning(trace: bytes, span: bytes, begun: int, ended: int) -> bytes:
    """Ids and times; these are microseconds. Raises ValueError."""
    begun, ended = (begun if begun > 0 else 0) * 1000, (ended if ended > 0 else 0) * 1000
    try:
        return _head(_TRACE_ID, trace, _SPAN_ID, span, _START, begun, _END, ended)
    except StructError:
        raise ValueError("a time beyond 64 bits") from None


def id_of(text: str | None, length: int) -> bytes:
    """An id of so many bytes. Raises BadIds."""
    try:
        octets = bytes.fromhex(text or "")
    except ValueError:
        raise BadIds("not hex") from None
    if len(octets) != length or _NO_ID.startswith(octets):
        raise BadIds(f"{len(octets)} bytes instead of {length}")
    return octets


def ids_of(trace: str | None, span: str | None, other: str | None) -> tuple[bytes, bytes, bytes]:
    """Those of a trace and two spans, at once. Raises BadIds."""
    if trace is None or span is None or other is None:
        raise BadIds("one is missing")
    if len(trace) != 2 * TRACE or len(span) != 2 * SPAN or len(other) != 2 * SPAN:
        raise BadIds("one is too short or too long")
    try:
        octets = bytes.fromhex(trace + span + other)
    except ValueError:
        raise BadIds("not hex") from None
    if len(octets) != TRACE + SPAN + SPAN:
        raise BadIds("not hex alone")
    found = octets[:TRACE], octets[TRACE : TRACE + SPAN], octets[TRACE + SPAN :]
    if found[0] == _NO_ID or found[1] == _NO_SPAN or found[2] == _NO_SPAN:
        raise BadIds("all zeros")
    return found


def made_up(server: bytes, number: int) -> bytes:
    """An id for an attempt that has none: the same each time it is told."""
    return blake2b(server + number.to_bytes(4, "big"), digest_size=SPAN).digest()
