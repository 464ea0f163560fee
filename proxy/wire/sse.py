"""Server-sent events (WHATWG HTML §9.2), as far as a proxy must know them.

`WholeEvents` forwards a stream event by event, bytes unchanged: whatever the packets were, what
goes on ends at an event's end. So a stream that is cut never leaves half an event in front of the
error event that tells of the cut. The usual case, a read that ends where an event ends, costs one
comparison.

An event larger than `HOLD` bytes (a picture) is passed on as it comes.
"""

import re
from typing import Final

HOLD: Final = 1024 * 1024
ENDS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
_LONGEST_END: Final = 4
ANY_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class WholeEvents:
    """Holds back the unfinished event at the end of what has arrived."""

    __slots__ = ("_edge", "_held", "_size", "inside")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0
        self._edge = b""  # The last bytes held: an end may stand across two reads.
        self.inside = False  # Whether what was passed on ends within an event.

    def feed(self, data: bytes) -> bytes:
        """What may go on now: whole events, maybe none."""
        if self._size == 0 and _is_whole(data):
            self.inside = False
            return data
        joint = self._edge + data
        if end_of_events(joint) == 0 and self._size + len(data) <= HOLD:
            self._hold(data, joint)  # Looked at once, however many reads an event takes.
            return b""
        data = self._taken() + data
        end = end_of_events(data)
        if len(data) - end > HOLD:
            self.inside = True
            return data
        if end < len(data):
            self._hold(data[end:], data[end:])
        if end:
            self.inside = False
        return data[:end]

    def finish(self) -> bytes:
        """What is left at the clean end of the stream."""
        return self._taken()

    def _taken(self) -> bytes:
        held = b"".join(self._held)
        self._held, self._size, self._edge = [], 0, b""
        return held

    def _hold(self, data: bytes, joint: bytes) -> None:
        self._held.append(data)
        self._size += len(data)
        self._edge = joint[-_LONGEST_END + 1 :]


class WithoutUsage(WholeEvents):
    """Also drops the event that carries nothing but usage, for callers that did not ask for it.

    OpenAI sends it last, with empty `choices`, when `stream_options.include_usage` is true."""

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        if self._size == 0 and _is_whole(data) and _is_bare(data):
            self.inside = False
            return data  # Nearly every read: whole events without usage.
        data = super().feed(data)
        return data if _USAGE.search(data) is None else _drop_usage(data)

    def finish(self) -> bytes:
        data = super().finish()
        return data if _USAGE.search(data) is None else _drop_usage(data)


_USAGE_NAME: Final = b'"usage"'
_USAGE_NULL: Final = b'"usage":null'
_NULL_AT_END: Final = b'"usage":null}\n\n'
_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')
_NO_CHOICES: Final = re.compile(rb'"choices"\s*:\s*\[\s*\]')


def _is_whole(data: bytes) -> bool:
    # One end after the other: compiled, a tuple of them costs more than all three.
    return data.endswith(b"\n\n") or data.endswith(b"\r\n\r\n") or data.endswith(b"\r\r")


def _is_bare(events: bytes) -> bool:
    """Whether they have no usage for sure: not its name, or once, and null, as OpenAI says in each
    chunk before the last."""
    if events.endswith(_NULL_AT_END):  # Nearly all: of a stream's chunk each look counts.
        return events.rfind(_USAGE_NAME, 0, -len(_NULL_AT_END)) < 0
    at = events.rfind(_USAGE_NAME)
    if at < 0:
        return True
    return events.startswith(_USAGE_NULL, at) and events.find(_USAGE_NAME, 0, at) < 0


def missing_end(data: bytes) -> bytes:
    """What a last event lacks of its blank line."""
    if data.endswith(ENDS):
        return b""
    if data.endswith(b"\r\n"):
        return b"\r\n"
    return b"\n" if data.endswith(b"\n") else b"\n\n"


def end_of_events(data: bytes) -> int:
    """The offset behind the last whole event in `data`; 0 when there is none."""
    end = 0
    for mark in ENDS:
        at = data.rfind(mark, end)
        if at >= 0:
            end = at + len(mark)
    return end


def split(data: bytes) -> list[bytes]:
    """The events in `data`, each with its end; the last may be unfinished."""
    events = []
    start = 0
    for match in ANY_END.finditer(data):
        events.append(data[start : match.end()])
        start = match.end()
    if start < len(data):
        events.append(data[start:])
    return events


def _drop_usage(data: bytes) -> bytes:
    return b"".join(
        event
        for event in split(data)
        if _USAGE.search(event) is None or _NO_CHOICES.search(event) is None
    )
