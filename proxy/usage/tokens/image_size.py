"""Width and height of a picture from the first bytes of its file: PNG, JPEG, GIF, WebP.

Bounded: only the head is decoded from base64, and a JPEG is walked segment by segment, each step
going forward.
"""

from base64 import b64decode
from binascii import Error as BadBase64
from struct import error as TooShort
from struct import unpack_from

Size = tuple[int, int]

_HEAD = 256 * 1024  # A JPEG may have a colour profile and a small picture in front of its size.
_IN_BASE64 = _HEAD // 3 * 4
_SHORTEST = 1024
_PNG = b"\x89PNG\r\n\x1a\n"
_FRAMES = frozenset(
    (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
)
_BARE = frozenset((0x01, *range(0xD0, 0xD8)))  # Markers without a length.


def size_of_data_url(url: str) -> Size | None:
    """The size of the picture in a `data:` URL; None where it cannot be told."""
    head, comma, _ = url[:_SHORTEST].partition(",")
    if not comma or not head.lower().endswith(";base64"):
        return None
    start = len(head) + 1
    return size_of(decoded(url[start : start + _IN_BASE64]))


def decoded(data: str) -> bytes:
    """As much as can be decoded of the beginning of a base64 text."""
    try:
        return b64decode(data[: len(data) // 4 * 4])
    except (BadBase64, ValueError):
        return b""


def size_of(head: bytes) -> Size | None:
    """The size of a picture that begins with these bytes."""
    try:
        size = _read(head)
    except TooShort:
        return None
    return size if size is not None and min(size) > 0 else None


def _read(head: bytes) -> Size | None:
    if head.startswith(_PNG):
        width, height = unpack_from(">II", head, 16)
        return width, height
    if head.startswith((b"GIF87a", b"GIF89a")):
        width, height = unpack_from("<HH", head, 6)
        return width, height
    if head.startswith(b"\xff\xd8"):
        return _jpeg(head)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp(head)
    return None


def _jpeg(head: bytes) -> Size | None:
    at = 2
    while True:
        mark, kind = unpack_from(">BB", head, at)
        if mark != 0xFF:
            return None
        if kind == 0xFF:  # Fill bytes may stand in front of a marker.
            at += 1
        elif kind in _BARE:
            at += 2
        elif kind in _FRAMES:
            height, width = unpack_from(">HH", head, at + 5)
            return width, height
        else:
            at += 2 + max(2, unpack_from(">H", head, at + 2)[0])


def _webp(head: bytes) -> Size | None:
    match head[12:16]:
        case b"VP8 ":
            width, height = unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = unpack_from("<I", head, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            low_w, high_w, low_h, high_h = unpack_from("<HBHB", head, 24)
            return (low_w | high_w << 16) + 1, (low_h | high_h << 16) + 1
        case _:
            return None
