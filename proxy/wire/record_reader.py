"""Reads the records of lines; what briefs have in common is parsed once and kept, bounded.

A brief begins with its `Standing` (brief.py), and thousands of lines begin with the same bytes. So
those are looked up, and only what follows is parsed. Any other line is parsed whole; the answer is
the same. `told` leaves a usual record the brief that it is, for whoever counts many at once.
"""

import zlib

import msgspec

from proxy.wire.brief import Brief, More, Numbers, Standing, whole
from proxy.wire.record import BadLine, UsageRecord

_BRIEF = b'{"v":2,"standing":'
_NUMBERS = b',"numbers":['
"""In no text of a standing: a quote within a text stands behind a backslash, not a comma."""
_TO_ARRAY = len(_NUMBERS) - 1
_CHECKSUM = len(b"01234567 ")
_MISFIT = "the checksum does not fit"
_USUAL = b"]}"
"""Ends what has no `More`: that would end with two braces."""

KEPT = 1024
LONGEST_KEPT = 4096

Told = UsageRecord | Brief


class _Rest(msgspec.Struct, frozen=True, gc=False):
    """A brief without its standing."""

    numbers: Numbers
    more: More | None = None


_decode = msgspec.json.Decoder(Told).decode
_decode_numbers = msgspec.json.Decoder(Numbers).decode
_decode_rest = msgspec.json.Decoder(_Rest).decode


def record_of(line: bytes) -> UsageRecord:
    """The record of a line, with or without its line break. Raises BadLine."""
    try:
        found = _decode(_checked(line))
    except msgspec.MsgspecError as error:
        raise BadLine(str(error)) from None
    return found.whole() if type(found) is Brief else found


class RecordReader:
    """For one thread at a time."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Standing, int]] = {}

    def read(self, line: bytes) -> UsageRecord:
        """The record of a line, with or without its line break. Raises BadLine."""
        found = self.told(line)
        return found.whole() if type(found) is Brief else found

    def told(self, line: bytes) -> Told:
        """The same; a `Brief` where that has a standing that many have, and no `More`."""
        cut = line.find(_NUMBERS)
        known = self._known.get(line[_CHECKSUM:cut]) if cut > 0 else None
        try:
            if known is None:
                return self._told(_checked(line))
            standing, crc = known
            rest = line[cut + _TO_ARRAY : -1] if line.endswith(b"\n") else line[cut + _TO_ARRAY :]
            if not line.startswith(b"%08x " % zlib.crc32(rest, crc)):
                raise BadLine(_MISFIT)
            if rest.endswith(_USUAL):
                return Brief(standing, _decode_numbers(rest[:-1]))
            found = _decode_rest(b'{"numbers":%b' % rest)
        except msgspec.MsgspecError as error:
            raise BadLine(str(error)) from None
        return whole(standing, found.numbers, found.more)

    def _told(self, text: bytes) -> UsageRecord:
        found: Told = _decode(text)
        if type(found) is not Brief:
            return found
        cut = text.find(_NUMBERS)
        if text.startswith(_BRIEF) and 0 <= cut <= LONGEST_KEPT:
            self._keep(text[:cut], (found.standing, zlib.crc32(text[: cut + _TO_ARRAY])))
        return found.whole()

    def _keep(self, head: bytes, known: tuple[Standing, int]) -> None:
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[head] = known


def _checked(line: bytes) -> bytes:
    """The JSON of a line whose checksum fits. Raises BadLine."""
    crc, _, text = line.rstrip(b"\n").partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        raise BadLine(_MISFIT)
    return text
