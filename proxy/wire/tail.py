"""The last bytes of an answer: usage and the proof that a stream came to its end.

Both stand at the end of every answer of OpenAI's API, so remembering references to the last few
chunks is all that is done while the bytes pass; nothing is parsed until the end.
"""

import re
from typing import TYPE_CHECKING, Final

import msgspec

from proxy.wire.operations import StreamEnd
from proxy.wire.sse import ANY_END, ENDS
from proxy.wire.stream_errors import first_error

if TYPE_CHECKING:
    from proxy.wire.record import Usage

KEEP: Final = 16 * 1024
_SPARE: Final = 1024  # So much more, and the oldest are dropped together.
_EDGE: Final = 64
_CLOSED_BY: Final = {b"{": b"}", b"[": b"]"}
_ANY_JSON: Final = msgspec.json.Decoder(msgspec.Raw)

_USAGE_NAME: Final = b'"usage"'
# Members without objects, and no trick in a string.
_FLAT: Final = rb'[^{}"]*(?:"[^"\\{}]*"[^{}"]*)*'
_SHALLOW: Final = re.compile(rb'"usage"\s*:\s*(\{%b(?:\{%b\}%b)*\})' % (_FLAT, _FLAT, _FLAT))
_USAGE: Final = re.compile(rb'"usage"\s*:\s*(?=\{)')
_BILLED_NAME: Final = b'"billed_units"'  # Cohere's, in `meta` where there is no usage.
_BILLED: Final = re.compile(rb'"billed_units"\s*:\s*(\{%b\})' % _FLAT)
_TEXT: Final = re.compile(
    rb'"(?:content|text|delta|arguments|reasoning_content)"\s*:\s*"((?:[^"\\]|\\.)*)"'
)
_FINISH: Final = re.compile(rb'"finish_reason"\s*:\s*(null|")')
_DONE: Final = re.compile(rb"(?:^|[\r\n])data:[ ]?\[DONE\]")
_BY_DONE: Final = StreamEnd.DONE
_BY_RESPONSE: Final = StreamEnd.RESPONSE
_DONE_WORD: Final = b"[DONE]"
_JSON_LAST: Final = b"}\n\n"
_DONE_EDGE: Final = len(b"\ndata: ")
_RESPONSE_END: Final = re.compile(
    rb'"type"\s*:\s*"(?:response\.(?:completed|failed|incomplete|cancelled)|error)"'
)
_RESPONSE_ERROR: Final = re.compile(rb'"type"\s*:\s*"(?:response\.failed|error)"')
# What most errors look like, cut short ones too; all of them are known to stream_errors.py.
_ERROR: Final = re.compile(rb'(?:^|[\r\n])(?:event:[ ]?error|data:[ ]?\{\s*"error"\s*:\s*[{"])')


class Tail:
    """Keeps at least the last `KEEP` bytes that were fed. `seen`: what somebody found in them when
    `total` was so much, for who comes later."""

    __slots__ = ("_chunks", "_size", "seen", "total")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self.total = 0
        self.seen: tuple[int, Usage | None] | None = None  # Usage in its usual form.

    def feed(self, data: bytes) -> None:
        length = len(data)
        self.total += length
        self._chunks.append(data)
        self._size += length
        if self._size >= KEEP + _SPARE and len(self._chunks) > 1:
            self._shorten()

    def _shorten(self) -> None:
        chunks, size, many = self._chunks, self._size, 0
        while size - len(chunks[many]) >= KEEP:
            size -= len(chunks[many])
            many += 1
        del chunks[:many]
        self._size = size

    def last(self) -> bytes:
        return b"".join(self._chunks)

    @property
    def pictures(self) -> int:
        """How many pictures passed, where they are counted (pictures.py)."""
        return 0

    def text_bytes(self) -> int:
        """About how many bytes of all that passed were the answer's text, judged by the last ones:
        for the estimate when a vendor's own count never came."""
        tail = self.last()
        text = sum(match.end(1) - match.start(1) for match in _TEXT.finditer(tail))
        return text * self.total // len(tail) if tail else 0

    def usage(self) -> bytes | None:
        """The JSON text of the last `usage` object, or None. Cohere's `billed_units` outside of one
        are given as an object that has them, as its newer answers do."""
        tail = self.last()
        start, end = usage_span(tail)
        at = tail.rfind(_BILLED_NAME, end)
        if at >= 0 and (billed := _BILLED.match(tail, at)) is not None:
            return b'{"billed_units":%b}' % billed.group(1)
        return tail[start:end] or None


def usage_span(tail: bytes) -> tuple[int, int]:
    """Where the last `usage` object begins and ends; (0, 0): there is none."""
    end = len(tail)
    while (at := tail.rfind(_USAGE_NAME, 0, end)) >= 0:
        # Nearly every usage object is flat but for its details: one match in C finds its end.
        if (found := _SHALLOW.match(tail, at)) is not None:
            return found.span(1)
        if (name := _USAGE.match(tail, at)) is not None:
            return _balanced(tail, name.end())
        end = at
    return 0, 0


def says_end(events: bytes, end: StreamEnd) -> bool:
    """Whether these whole events include the one that ends a stream: what goes out with them makes
    the answer whole."""
    if end is _BY_DONE:  # Not `match`, which asks for the enum and compares: asked of each chunk.
        if events.endswith(_JSON_LAST):
            return False  # Nearly all. Behind an end nothing comes, and if it does, HTTP's counts.
        return events.rfind(_DONE_WORD, -_EDGE) >= 0
    return end is _BY_RESPONSE and _RESPONSE_END.search(events) is not None


def is_whole(tail: bytes, end: StreamEnd) -> bool:
    """Whether a stream with these last bytes came to its end."""
    match end:
        case StreamEnd.DONE:
            return _says_done(tail) or tells_error(tail)
        case StreamEnd.RESPONSE:
            if _RESPONSE_END.search(tail) is not None or tells_error(tail):
                return True
            return _ends_in_large_event(tail) and _USAGE.search(tail) is not None
        case StreamEnd.FRAMING:
            return True


def _says_done(tail: bytes) -> bool:
    # Looked for from the end, where it stands: an expression walks through all of the text, which
    # takes longer than a hundred chunks.
    at = tail.rfind(_DONE_WORD)
    while at >= 0:
        if _DONE.search(tail, max(at - _DONE_EDGE, 0), at + len(_DONE_WORD)) is not None:
            return True
        at = tail.rfind(_DONE_WORD, 0, at)
    return False


def _has(text: bytes, word: bytes) -> bool:
    return text.rfind(word) >= 0  # In a quarter of the time that `in` takes.


def tells_error(events: bytes) -> bool:
    """Whether one of these events is an error in place of what should follow."""
    if not _has(events, b"error"):
        return False
    return _ERROR.search(events) is not None or first_error(events) is not None


def ends_in_error(tail: bytes, end: StreamEnd) -> bool:
    """Whether a stream that came to its end did so with an error of the vendor's own."""
    if not (_has(tail, b"error") or _has(tail, b"failed")):
        return False
    match end:
        case StreamEnd.DONE:
            return not _says_done(tail) and tells_error(tail)
        case StreamEnd.RESPONSE:
            return _RESPONSE_ERROR.search(tail) is not None or tells_error(tail)
        case StreamEnd.FRAMING:
            return False


def _ends_in_large_event(tail: bytes) -> bool:
    # The last event repeats the whole response, so its beginning, where its type stands, may be
    # out of reach. Of all events only the final ones carry usage, near their end.
    return tail.endswith(ENDS) and ANY_END.search(tail.rstrip(b"\r\n")) is None


def is_whole_json(body: bytes, *, framed: bool) -> bool:
    """Whether a JSON body came to its end: one look at its last character where HTTP's framing
    vouches for it; where the end of the connection was the only sign (`framed` is false), read."""
    if framed and body[:1] == b"{" and body[-1:] == b"}":
        return True  # Nearly all.
    closing = _CLOSED_BY.get(body[:_EDGE].lstrip()[:1])
    if closing is None:
        return True  # Plain text that a vendor calls JSON: nothing to judge it by.
    if body[-_EDGE:].rstrip()[-1:] != closing:
        return False
    if framed:
        return True
    try:
        _ANY_JSON.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def lacks_only_done(tail: bytes) -> bool:
    """Whether a chat stream gave its finish reason and merely forgot `[DONE]`."""
    # The last one counts: of several choices (`n`) one may be finished and another cut.
    return _FINISH.findall(tail)[-1:] == [b'"']


def _balanced(text: bytes, start: int) -> tuple[int, int]:
    """The span of the JSON object that begins at `start`; (0, 0) when it is not whole."""
    depth = 0
    for match in _BRACES.finditer(text, start):
        token = match.group()
        if token == b'"':  # A string that is cut off: the braces behind it are its own.
            return 0, 0
        depth += (token == b"{") - (token == b"}")
        if depth == 0:
            return start, match.end()
    return 0, 0


_BRACES: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|["{}]')
