"""Reads the records of many lines: what briefs have in common is parsed once and kept, bounded.

A brief begins with its `Standing` (record.py), and thousands of lines begin with the same bytes. So
those are looked up, and only what follows is parsed: half the time of `record_of`, and records of
the same kind share their texts. Any other line goes the way of `record_of`; the answer is the same.
"""

import zlib

import msgspec

from proxy.wire.record import BadLine, Brief, More, Numbers, Standing, UsageRecord, whole

_BRIEF = b'{"v":2,"standing":'
_NUMBERS = b',"numbers":['
"""In no text of a standing: a quote within a text stands behind a backslash, not a comma."""

KEPT = 1024
LONGEST_KEPT = 4096


class _Rest(msgspec.Struct, frozen=True, gc=False):
    """A brief without its standing."""

    numbers: Numbers
    more: More | None = None


_decode = msgspec.json.Decoder(UsageRecord | Brief).decode
_decode_rest = msgspec.json.Decoder(_Rest).decode


class RecordReader:
    """For one thread at a time."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, Standing] = {}

    def read(self, line: bytes) -> UsageRecord:
        """The record of a line, with or without its line break. Raises BadLine."""
        crc, _, text = line.rstrip(b"\n").partition(b" ")
        if crc != b"%08x" % zlib.crc32(text):
            raise BadLine("the checksum does not fit")
        try:
            cut = text.find(_NUMBERS) if text.startswith(_BRIEF) else -1
            if cut >= 0 and (standing := self._known.get(text[:cut])) is not None:
                rest = _decode_rest(b"{%b" % text[cut + 1 :])
                return whole(standing, rest.numbers, rest.more)
            found = _decode(text)
        except msgspec.MsgspecError as error:
            raise BadLine(str(error)) from None
        if type(found) is UsageRecord:
            return found
        if 0 <= cut <= LONGEST_KEPT:
            self._keep(text[:cut], found.standing)
        return whole(found.standing, found.numbers, found.more)

    def _keep(self, head: bytes, standing: Standing) -> None:
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[head] = standing
