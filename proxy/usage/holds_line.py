"""One open hold as a line: `<crc32, 8 hex digits> {"standing":{..},"held":[..],"more":{..}}\\n`.

`standing` is what it shares with thousands of others, encoded once and kept (`HoldHead`), as in
wire/brief.py; `more` is what the request says of itself, where that is more than ids. No byte is
NUL.
"""

import zlib

import msgspec

from proxy.wire.brief import More, Standing, is_ids
from proxy.wire.record import BadLine


class Held(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Times are microseconds: `at` since the epoch, `started` since `at`. `input` and `output`:
    tokens, what the money was held for."""

    id: str
    at: int
    number: int  # Of the attempt, from 1.
    started: int
    money: int  # Nano-USD.
    input: int
    output: int
    attempt: str | None = None  # Its span; as in `Numbers`.
    trace: str | None = None
    span: str | None = None
    parent: str | None = None


Members = tuple[str, int, int, int, int, int, int]
"""Those of `Held` up to `output`, as they are written: a tuple is made and encoded sooner."""


class HoldLine(msgspec.Struct, frozen=True, gc=False):
    """All that a line says."""

    standing: Standing
    held: Held
    more: More | None = None


_encode = msgspec.json.Encoder().encode
_DECODER = msgspec.json.Decoder(HoldLine)


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


def hold_of(line: bytes) -> HoldLine:
    """What a line says, without its line break. Raises BadLine."""
    crc, _, text = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        raise BadLine("the checksum does not fit")
    try:
        return _DECODER.decode(text)
    except msgspec.MsgspecError as error:
        raise BadLine(str(error)) from None
