"""Chunks of a chunked body (RFC 9112 §7.1), one at a time: what every piece of a stream is, on its
way in and on its way out.

A stream's vendor writes each event as one chunk with one `send`, so nearly every read is a size in
hexadecimal, the line's end, so many bytes, and a line's end. The length of a read tells what its
size line must be: at most one fits. So such a read is known by three comparisons. Whatever looks
otherwise in any way (two chunks, half of one, an extension, capital or leading digits) is a
parser's.
"""

from typing import Final

_LONGEST: Final = 4096
_LINE_END: Final = b"\r\n"


def _fitting(length: int) -> bytes:
    """The size line of the one chunk that takes so many bytes with its framing; empty: none."""
    for digits in range(1, 4):
        size = length - digits - 2 * len(_LINE_END)
        line = b"%x\r\n" % max(size, 0)
        if size > 0 and len(line) == digits + len(_LINE_END):
            return line
    return b""


_LINES: Final = [b"%x\r\n" % size for size in range(_LONGEST)]
_FITTING: Final = [_fitting(length) for length in range(_LONGEST)]


def chunk(data: bytes) -> bytes:
    """One chunk with this data, which is not empty."""
    size = len(data)
    line = _LINES[size] if size < _LONGEST else b"%x\r\n" % size
    return b"%b%b\r\n" % (line, data)


def data_of(read: bytes) -> bytes | None:
    """The data of the chunk that `read`, which begins where a chunk may begin, is no more and no
    less than; None: it is not that, or not in the plainest form. Never of the last chunk, whose
    size is 0."""
    length = len(read)
    if length >= _LONGEST:
        return None
    line = _FITTING[length]
    if line and read.startswith(line) and read.endswith(_LINE_END):
        return read[len(line) : length - 2]
    return None
