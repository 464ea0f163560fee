"""What a JSON request says, found in its bytes in bounded time: a sample of its words, how many
bytes of words it has, and whether pictures or sound come with them.

Nothing is parsed to the bottom. Base64 is jumped over; what is left is searched whole where that is
cheap, else both ends of it, and of these the first and the last `_SAMPLE` bytes of each member
are read as text. Inside JSON a quote within a string is always escaped, so that `"content":` is a
name wherever it stands, and a reader may begin anywhere. Whatever a caller sends, nothing here
raises, and no search goes over a place twice.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from proxy.base import jsonio

_LOOKED_AT = 1024 * 1024
_SAMPLE = 6 * 1024
_HOPS = 600
_MOST_FILES = 1000
_MOST_PARTS = 300
_LONGEST_CUT = 12  # Two escapes of a surrogate pair.

_IN_STRING = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_REST = re.compile(_IN_STRING, re.S)
_PLAIN = re.compile(rb'"(%b)"?' % _IN_STRING, re.S)
_NAMED = re.compile(rb'"(?:content|text|output)"\s*+:\s*+"(%b)' % _IN_STRING, re.S)
_SAFE_START = re.compile(rb"[^\\](?=[^\x80-\xbf])", re.S)
_ONLY_BASE64 = re.compile(rb"[A-Za-z0-9+/=_-]{120}")
_PART = re.compile(rb'"type"\s*+:\s*+"([a-z_]{1,20})"')
_MEDIA = {
    b"image": "image",
    b"image_url": "image",
    b"image_file": "image",
    b"input_image": "image",
    b"audio": "audio",
    b"audio_url": "audio",
    b"input_audio": "audio",
    b"file": "file",
    b"input_file": "file",
    b"video_url": "file",
}
_NO_MEDIUM = frozenset(("file",))  # Not asked for by name; what is in it is no text, either.
_USUAL = (b"image_url", b"input_image", b"input_audio")
_SMALL = 4 * 1024


class Said(NamedTuple):
    """What was found. `text` is the sample of all words, `last` the last string of it, `looked_at`
    the JSON without base64, `size` the bytes of words in all (UTF-8; beyond the sample by its
    density)."""

    text: str
    last: str
    looked_at: bytes
    size: int
    media: frozenset[str]


NOTHING_SAID = Said("", "", b"", 0, frozenset())


class Seeker:
    """Finds a rare text, hopping from one of its first byte to the next as long as these are
    rare too: that is memchr's speed, forty times what a search for the whole text reaches, which
    therefore goes over `_LOOKED_AT` bytes, and the end of them all, only."""

    __slots__ = ("_hops", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._hops = _HOPS

    def find(self, wanted: bytes, at: int, end: int) -> int:
        """Where `wanted` begins in `raw[at:end]`, or -1."""
        raw, first = self._raw, wanted[:1]
        while self._hops > 0:
            self._hops -= 1
            at = raw.find(first, at, end)
            if at < 0 or raw.startswith(wanted, at, end):
                return at
            at += 1
        found = raw.find(wanted, at, min(end, at + _LOOKED_AT))
        if found < 0 and at + _LOOKED_AT < end:
            found = raw.find(wanted, max(at, end - _LOOKED_AT // 2), end)
        return found


def said(values: Sequence[bytes]) -> Said:
    """What these members of a body say, each the JSON text of a value."""
    if len(values) == 1:
        return _said(values[0])
    found = [_said(value) for value in values]
    if not found:
        return NOTHING_SAID
    last = next((each.last for each in reversed(found) if each.last), "")
    return Said(
        "\n".join(each.text for each in found if each.text),
        last,
        b"\n".join(each.looked_at for each in found),
        sum(each.size for each in found),
        frozenset().union(*(each.media for each in found)),
    )


def _said(value: bytes) -> Said:
    plain = value[:1] == b'"'
    if not plain and (numbers := _token_numbers(value)) is not None:
        return Said("", "", b"", 4 * numbers, frozenset())
    words, media = value, frozenset[str]()
    if not plain and (len(value) > _SMALL or b'"type"' in value):
        media = _media(value)
        if media and len(value) > _SMALL:
            words = _without_files(_without_files(value, b";base64,"), b'"data":')
    plain = plain or value[1:].lstrip()[:1] == b'"'
    texts, read = _sample(words, _PLAIN if plain else _NAMED)
    text = "\n".join(texts)
    size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    if read < len(words):
        size = size * len(words) // read
    return Said(text, texts[-1] if texts else "", words, size, media - _NO_MEDIUM)


def _token_numbers(value: bytes) -> int | None:
    """How many numbers a list of tokens has; None for anything else."""
    start = value[:64].lstrip(b"[ \t\r\n")[:1]
    return value.count(b",") + 1 if start.isdigit() else None


def _without_files(raw: bytes, mark: bytes) -> bytes:
    """`raw` less the rest of each string in which `mark` stands, or that follows it."""
    seeker, kept, start, searched = Seeker(raw), [], 0, 0
    for _ in range(_MOST_FILES):
        at = seeker.find(mark, start, start + _LOOKED_AT - searched)
        if at < 0:
            break
        begin = at + len(mark)
        if mark.endswith(b":"):
            begin = raw.find(b'"', begin) + 1 or len(raw)
        searched += at - start
        kept.append(raw[start:begin])
        start = raw.find(b'"', begin)
        if start < 0:
            return b"".join(kept)
    return b"".join((*kept, raw[start:])) if kept else raw


def _media(raw: bytes) -> frozenset[str]:
    seeker, found, at = Seeker(raw), set[str](), 0
    for _ in range(_MOST_PARTS):
        at = seeker.find(b'"type"', at, len(raw))
        if at < 0:
            return frozenset(found)
        part = _PART.match(raw, at)
        if part is not None and (medium := _MEDIA.get(part[1])) is not None:
            found.add(medium)
            if len(found) == 3:
                break
        at += 6
    else:  # So many parts that only the names are looked for.
        found.update(_MEDIA[name] for name in _USUAL if raw.find(b'"%b"' % name, at) >= 0)
    return frozenset(found)


def _sample(raw: bytes, strings: re.Pattern[bytes]) -> tuple[list[str], int]:
    """The strings at both ends, and how many bytes were read for them."""
    if len(raw) <= 2 * _SAMPLE:
        return list(_texts(raw, 0, strings)), len(raw)
    texts = list(_texts(raw[:_SAMPLE], 0, strings))
    end = raw[-_SAMPLE:]
    safe = _SAFE_START.search(end)
    begun = _REST.match(end, safe.end()) if safe is not None else None
    if begun is None:
        return texts, 2 * _SAMPLE
    if begun[0] and _ONLY_BASE64.match(begun[0]) is None:
        texts.append(unescaped(begun[0]))
    texts += _texts(end, begun.end() + (strings is _PLAIN), strings)
    return texts, 2 * _SAMPLE


def _texts(raw: bytes, at: int, strings: re.Pattern[bytes]) -> Iterator[str]:
    for match in strings.finditer(raw, at):
        if text := unescaped(match[1]):
            yield text


def unescaped(raw: bytes) -> str:
    """The text of a JSON string without its quotes, which may be cut short anywhere."""
    if b"\\" not in raw:
        return raw.decode("utf-8", "ignore")
    for cut in range(_LONGEST_CUT):
        try:
            text = jsonio.loads(b'"%b"' % raw[: len(raw) - cut])
        except jsonio.JSONError:
            continue  # The cut went through an escape: try without its rest.
        return str(text)
    return raw.decode("utf-8", "ignore")
