"""Judges an answer, sans I/O: bytes in, a word for what is wrong with it out.

Every answer is checked: the status, the length of a plain body, and of a stream each chunk's number
in order, the count, and `[DONE]`. Bytes may arrive in any split. Words: `status_NNN`, `length`,
`missing_chunk`, `repeated_chunk`, `error_event`, `no_done`, `too_few_chunks`.
"""

import re
from typing import ClassVar, Protocol

_NUMBER = re.compile(rb'"content":\s*"(\d{6}) "')
_DONE = re.compile(rb"^data:\s*\[DONE\]\s*$", re.MULTILINE)
_ERROR = re.compile(rb'^(?:event:\s*error|data:\s*\{\s*"error":)', re.MULTILINE)


class Verdict(Protocol):
    """What one answer is checked against."""

    @property
    def streamed(self) -> bool:
        """Whether its chunks are counted."""

    @property
    def chunks(self) -> int:
        """So many came."""

    def feed(self, data: bytes, /) -> None:
        """Take a piece of the body."""

    def end(self, status: int, /) -> str | None:
        """The body ended as its framing promised: what is wrong, or None."""


class PlainVerdict:
    """Status 200 and a body of the length that is due (None: of any length but none)."""

    __slots__ = ("_due", "_length")
    streamed: ClassVar[bool] = False
    chunks: ClassVar[int] = 0

    def __init__(self, due: int | None) -> None:
        self._due = due
        self._length = 0

    def feed(self, data: bytes) -> None:
        self._length += len(data)

    def end(self, status: int) -> str | None:
        if status != 200:
            return f"status_{status}"
        good = self._length == self._due if self._due is not None else self._length > 0
        return None if good else "length"


class StreamVerdict:
    """Status 200, chunks 0 … due-1 each once and in order, then `[DONE]`."""

    __slots__ = ("_done", "_due", "_rest", "_wrong", "chunks")
    streamed: ClassVar[bool] = True

    def __init__(self, due: int) -> None:
        self._due = due
        self._rest = b""
        self._wrong: str | None = None
        self._done = False
        self.chunks = 0

    def feed(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if data.endswith(b"\n"):
            self._rest = b""
        else:
            whole = data.rfind(b"\n") + 1
            data, self._rest = data[:whole], data[whole:]
        numbers = _NUMBER.findall(data)
        for number in numbers:
            if int(number) != self.chunks and self._wrong is None:
                self._wrong = "missing_chunk" if int(number) > self.chunks else "repeated_chunk"
            self.chunks += 1
        if not numbers or b"[DONE]" in data or b'"error"' in data:
            self._read_rest(data)

    def _read_rest(self, data: bytes) -> None:
        if _ERROR.search(data) is not None and self._wrong is None:
            self._wrong = "error_event"
        if _DONE.search(data) is not None:
            self._done = True

    def end(self, status: int) -> str | None:
        if status != 200:
            return f"status_{status}"
        if self._wrong is not None:
            return self._wrong
        if self.chunks < self._due:
            return "too_few_chunks" if self._done else "no_done"
        return None if self._done else "no_done"
