"""The members of a JSON object: their names decoded, their values as the caller's bytes.

To find where a string ends a JSON reader looks at each of its bytes (5 GB/s). Large bodies are
mostly large by a few strings: a picture, a book. A stretch without a quote is found many times
quicker; so what stands within such stretches is left out, the rest is read, and the values that
were made shorter are taken from the whole text. In place of each stretch stands a letter, which is
no JSON outside a string: whatever was thought to be a string and is none, or stands in a name, is
seen, and then all of it is read. What may not stand within a string, a line break say or what is no
UTF-8, is not seen in a stretch. It moves no quote, so nobody can take the text for another one; it
is found by who reads that value (`check`), else by the vendor. A reader may take the bytes behind
half a character for more of it: those behind a stretch are read here, and the next quote is further
away than any character is long.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

Members = Mapping[str, msgspec.Raw]

AFTER_VALUE: Final = b" \t\r\n,}"
MEMBER_NAME: Final = re.compile(rb'(?s)[\s{,]*("(?:[^"\\]++|\\.)*+")\s*:\s*')

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY: Final = msgspec.json.Decoder(msgspec.Raw)
_TEXT: Final = msgspec.json.Decoder(str)
_ALL_READ: Final[frozenset[str]] = frozenset()
_LONG: Final = 64 * 1024
_STRIDE: Final = 16 * 1024  # Twice as much without a quote is certainly found.
_ESCAPE: Final = len(rb"\u1234")
_CHARACTER: Final = 8  # More bytes than any has in UTF-8, in its first edition (RFC 2279) 6.
_TRIES: Final = 8
_NEAR: Final = 64
_LETTER: Final = b"x"

Stretch = tuple[int, int]


def members_of(raw: bytes) -> tuple[Members, frozenset[str]]:
    """And the names of those that were not read whole. Raises what msgspec does unless it is one
    JSON object, UnicodeDecodeError and RecursionError."""
    if len(raw) >= _LONG and (stretches := _without_quotes(raw)):
        found = _read_without(raw, stretches)
        if found is not None:
            return found
    _check_utf_8(raw)
    return _MEMBERS.decode(raw), _ALL_READ


def check(value: msgspec.Raw) -> None:
    """Read all of a value. Raises what msgspec does unless it is JSON, and UnicodeDecodeError."""
    _check_utf_8(bytes(value))
    _ANY.decode(value)


def _check_utf_8(text: bytes) -> None:
    if not text.isascii():
        text.decode()  # msgspec does not look into values that it skips.


def _without_quotes(raw: bytes) -> list[Stretch]:
    """Where nothing is missed if it is left out: no quote, no half of an escape or character."""
    stretches: list[Stretch] = []
    at = _STRIDE
    while at < len(raw):
        quote = raw.find(b'"', at)
        if quote < 0:
            break
        if quote - at >= _STRIDE:
            start, end = _calm(raw, at, 1), _calm(raw, quote - _CHARACTER, -1)
            if start is not None and end is not None:
                stretches.append((start, end))
        at = quote + _STRIDE
    return stretches


def _calm(raw: bytes, at: int, step: int) -> int | None:
    """A place near `at`, before it or behind it as `step` says, where a character begins and which
    no escape reaches."""
    for tried in range(_TRIES):
        place = at + step * tried * _ESCAPE
        while raw[place] & 0xC0 == 0x80:  # RFC 3629 §3: more of a character.
            place += step
            if abs(place - at) > _NEAR:
                return None  # No text: there is no end to it.
        if raw.find(b"\\", place - _ESCAPE, place) < 0:
            return place
    return None


def _read_without(raw: bytes, stretches: list[Stretch]) -> tuple[Members, frozenset[str]] | None:
    """The members, read without these stretches; None where that cannot be done."""
    parts: list[bytes] = []
    kept = 0
    for start, end in stretches:
        parts += (raw[kept:start], _LETTER)
        kept = end
    parts.append(raw[kept:])
    text = b"".join(parts)
    try:
        _check_utf_8(text)
        found = _MEMBERS.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # It may be one of ours, or the caller's: who reads all of it says which.
    return _lengthened(raw, text, found, stretches)


def _lengthened(
    raw: bytes, text: bytes, found: dict[str, msgspec.Raw], stretches: list[Stretch]
) -> tuple[Members, frozenset[str]] | None:
    """`found` in `text`, which is `raw` without `stretches`, with what is missing in them; None
    where the members do not follow one another as they were found, as when a name is doubled."""
    end, missing, left = 0, 0, iter(stretches)
    next_stretch = next(left, None)
    whole, longer = memoryview(raw), set()
    for name, value in found.items():
        match = MEMBER_NAME.match(text, end)
        if match is None or _TEXT.decode(match[1]) != name:
            return None
        start = match.end()
        end = start + memoryview(value).nbytes
        if not text.startswith(value, start) or text[end] not in AFTER_VALUE:
            return None
        begin = start + missing
        while next_stretch is not None and next_stretch[0] < end + missing:
            if next_stretch[0] < begin:
                return None  # In the name.
            missing += next_stretch[1] - next_stretch[0] - len(_LETTER)
            next_stretch = next(left, None)
        if begin + end - start != end + missing:
            found[name] = msgspec.Raw(whole[begin : end + missing])
            longer.add(name)
    return (found, frozenset(longer)) if MEMBER_NAME.match(text, end) is None else None
