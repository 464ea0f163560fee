"""One open hold as a line: `<crc32, 8 hex digits> {"standing":{..},"held":[..],"more":{..}}\\n`.

`standing` is what it shares with thousands of others, encoded once and kept (`holds_head.py`), as
in wire/brief.py; `more` is what the request says of itself, where that is more than ids. No byte is
NUL.
"""

import zlib

import msgspec

from proxy.wire.brief import More, Standing
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


class HoldLine(msgspec.Struct, frozen=True, gc=False):
    """All that a line says."""

    standing: Standing
    held: Held
    more: More | None = None


_DECODER = msgspec.json.Decoder(HoldLine)


def hold_of(line: bytes) -> HoldLine:
    """What a line says, without its line break. Raises BadLine."""
    crc, _, text = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        raise BadLine("the checksum does not fit")
    try:
        return _DECODER.decode(text)
    except msgspec.MsgspecError as error:
        raise BadLine(str(error)) from None
