"""Judges answers of any OpenAI-compatible server, sans I/O: bytes in, what is wrong out.

The mock vendor numbers its chunks; where the first chunk has a number, each must come once and in
order (`missing_chunk`, `repeated_chunk`), and only numbered ones are counted. Of any other vendor
every event with data counts as a chunk. Always: status 200 (`status_NNN`), no `error_event`, at
least one chunk (`no_chunk`), and `[DONE]` (`no_done`); of a plain answer, JSON of the kind that was
asked for (`not_json`, `other_kind`). Bytes may arrive in any split.
"""

import re
from typing import ClassVar

from proxy.base.jsonio import JSONError, loads

_NUMBER = re.compile(rb'"(?:content|arguments)":\s*"(?:\{\\"steps\\":\\")?(\d{6}) ')
_EVENT = re.compile(rb"^data:\s*\{", re.MULTILINE)
_DONE = re.compile(rb"^data:\s*\[DONE\]\s*$", re.MULTILINE)
_ERROR = re.compile(rb'^(?:event:\s*error|data:\s*\{\s*"error":)', re.MULTILINE)


class StreamJudge:
    """Judges one stream."""

    __slots__ = ("_done", "_numbered", "_rest", "_wrong", "chunks")
    streamed: ClassVar[bool] = True

    def __init__(self) -> None:
        self._rest = b""
        self._wrong: str | None = None
        self._done = False
        self._numbered: bool | None = None
        self.chunks = 0

    def feed(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if data.endswith(b"\n"):
            self._rest = b""
        else:
            whole = data.rfind(b"\n") + 1
            data, self._rest = data[:whole], data[whole:]
        if self._numbered is None and _EVENT.search(data) is not None:
            self._numbered = _NUMBER.search(data) is not None
        if self._numbered:
            numbers = _NUMBER.findall(data)
            self._count(numbers)
            if numbers and b"[DONE]" not in data and b'"error"' not in data:
                return
        else:
            self.chunks += len(_EVENT.findall(data))
        self._look(data)

    def _count(self, numbers: list[bytes]) -> None:
        for number in numbers:
            if int(number) != self.chunks and self._wrong is None:
                self._wrong = "missing_chunk" if int(number) > self.chunks else "repeated_chunk"
            self.chunks += 1

    def _look(self, data: bytes) -> None:
        if self._wrong is None and _ERROR.search(data) is not None:
            self._wrong = "error_event"
        if not self._done and _DONE.search(data) is not None:
            self._done = True

    def end(self, status: int) -> str | None:
        if status != 200:
            return f"status_{status}"
        if self._wrong is not None:
            return self._wrong
        if not self.chunks:
            return "no_chunk"
        return None if self._done else "no_done"


class PlainJudge:
    """Judges one answer that is not streamed. What was found good once need not be parsed again."""

    __slots__ = ("_known", "_member", "_pieces")
    streamed: ClassVar[bool] = False
    chunks: ClassVar[int] = 0

    def __init__(self, member: str, known: set[bytes]) -> None:
        """`member`: what the answer must have. `known`: bodies found good, shared by all."""
        self._member = member
        self._known = known
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._pieces.append(data)

    def end(self, status: int) -> str | None:
        if status != 200:
            return f"status_{status}"
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        return None if body in self._known else self._parse(body)

    def _parse(self, body: bytes) -> str | None:
        try:
            answer = loads(body)
        except JSONError:
            return "not_json"
        if not isinstance(answer, dict) or not answer.get(self._member):
            return "other_kind"
        if len(self._known) < 16:
            self._known.add(body)
        return None
