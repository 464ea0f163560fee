"""Briefs as lines: see brief.py for what they say.

Apart from it, as this is compiled and what msgspec decodes cannot be (docs/adr/0021-compiled.md).
"""

import zlib
from typing import Final

import msgspec

from proxy.wire.brief import More, OfText, Standing
from proxy.wire.record import Cost, Usage

Boxed = tuple[object, ...]
"""`Times` for mypyc, which would take each number of a tuple that it knows out of it."""

_MORE_OF_TEXT: Final = (
    b',"more":{"usage":{"input":%d,"output":%d},"usage_source":"upstream",'
    b'"cost":{"total":%d,"input":%d,"output":%d},%b}}'
)
_IDS: Final = b","
_NO_NUMBERS: Final[OfText] = 0, 0, 0, 0  # Where `More` says it.

_encode: Final = msgspec.json.Encoder().encode


def ids(attempt: str, trace: str, span: str, parent: str | None) -> bytes:
    """The ids of `Numbers` as they follow its numbers in JSON. They are hex digits, in which
    nothing has to be escaped."""
    text = f',"{attempt}","{trace}","{span}"'
    return (text if parent is None else f'{text},"{parent}"').encode()


def is_ids(said: bytes) -> bool:
    """Whether that is from `ids`, not members of `More`."""
    return said.startswith(_IDS)


class Head:
    """The beginning of briefs with the same `Standing`, and its checksum."""

    __slots__ = ("_crc", "_text")

    def __init__(self, standing: Standing) -> None:
        self._text = b'{"v":2,"standing":%b,"numbers":' % _encode(standing)
        self._crc = zlib.crc32(self._text)

    def line(self, times: Boxed, of_text: OfText, said: bytes, more: More | None = None) -> bytes:
        """The line of the brief of these parts. `said`: `ids`, or members of `More` that say
        nothing of what was used, rendered; or all of it is in `more`."""
        if more is not None:
            rest = b'%b,"more":%b}' % (_encode(times + _NO_NUMBERS), _encode(more))
        elif not said:
            rest = _encode(times + of_text) + b"}"
        elif is_ids(said):
            rest = b"%b%b]}" % (_encode(times + of_text)[:-1], said)
        else:
            rest = _encode(times + _NO_NUMBERS) + _more(of_text, said)
        return b"%08x %b%b\n" % (zlib.crc32(rest, self._crc), self._text, rest)


def _more(of_text: OfText, said: bytes) -> bytes:
    """`More` as the last member of a brief, as the encoder would write it."""
    tokens_in, tokens_out, cost, of_input = of_text
    of_output = cost - of_input
    if tokens_in and tokens_out and of_input and of_output:
        return _MORE_OF_TEXT % (tokens_in, tokens_out, cost, of_input, of_output, said)
    usage, split = Usage(tokens_in, tokens_out), Cost(cost, of_input, output=of_output)
    return b',"more":{"usage":%b,"usage_source":"upstream","cost":%b,%b}}' % (
        *(_encode(usage), _encode(split), said),  # What is 0 is not written.
    )
