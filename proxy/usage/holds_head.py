"""Open holds as lines: see holds_line.py for what they say. Apart from it, as this is compiled."""

import zlib
from typing import Final

import msgspec

from proxy.wire.brief import Standing
from proxy.wire.brief_line import is_ids

Members = tuple[object, ...]
"""Those of `Held` up to `output`: a tuple is made and encoded sooner."""

_encode: Final = msgspec.json.Encoder().encode


class HoldHead:
    """The beginning of lines with the same `Standing`, and its checksum."""

    __slots__ = ("_crc", "_text")

    def __init__(self, standing: Standing) -> None:
        self._text = b'{"standing":%b,"held":' % _encode(standing)
        self._crc = zlib.crc32(self._text)

    def line(self, held: Members, said: bytes) -> bytes:
        """The line of these parts. `said`: the ids, or the members of `more`, or nothing."""
        if not said:
            rest = _encode(held) + b"}"
        elif is_ids(said):
            rest = b"%b%b]}" % (_encode(held)[:-1], said)
        else:
            rest = b'%b,"more":{%b}}' % (_encode(held), said)
        return b"%08x %b%b\n" % (zlib.crc32(rest, self._crc), self._text, rest)
