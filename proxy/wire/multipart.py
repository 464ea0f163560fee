"""The `model` part of a multipart form (RFC 7578), found as the bytes pass, the file untouched.

Feed it the body piece by piece. It keeps no more than a part's head or a short value; file contents
run through it. It goes on looking after the find, because a second `model` part would let a caller
show us one model and the vendor another.
"""

import re
from dataclasses import dataclass

from proxy.base.errors import BadRequest

_NAME = re.compile(rb'(?i)content-disposition:[^\r\n]*?;\s*name\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]+)')
_BOUNDARY = re.compile(r'(?i);\s*boundary\s*=\s*("(?:[^"\\]|\\.)+"|[^;\s]+)')
_MAX_HEAD = 8 * 1024
_MAX_VALUE = 1024


@dataclass(frozen=True, slots=True)
class Part:
    """The value of the model part and where it stands in the body (offsets in bytes)."""

    value: str
    start: int
    end: int


def boundary_of(content_type: str) -> bytes:
    """The boundary parameter. Raises BadRequest when there is none."""
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise BadRequest("multipart/form-data needs a boundary", code="invalid_multipart")
    return match.group(1).strip('"').encode("latin-1")


class ModelPart:
    """Looks for the part called `model`; `found` is set once it is whole."""

    __slots__ = ("_at", "_buffer", "_in_head", "_mark", "_model", "found")

    def __init__(self, boundary: bytes) -> None:
        self._mark = b"\r\n--" + boundary
        # The first delimiter may stand at the very beginning, without a line break before it.
        self._buffer = b"\r\n"
        self._at = -2  # Offset in the body of the buffer's first byte.
        self._in_head = False
        self._model = False  # Whether the part we are in is the model's.
        self.found: Part | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body. Raises BadRequest for a form that is not one."""
        self._buffer += data
        while self._head() if self._in_head else self._content():
            pass

    def _content(self) -> bool:
        """Skip to the next delimiter; True when the state changed."""
        end = self._buffer.find(self._mark)
        if end < 0:
            if not self._model:
                self._drop(max(0, len(self._buffer) - len(self._mark) + 1))
            elif len(self._buffer) > _MAX_VALUE + len(self._mark):
                raise BadRequest("`model` is too long", code="invalid_multipart", param="model")
            return False
        if self._model:
            self._take_model(end)
        self._drop(end + len(self._mark))
        self._in_head = True
        return True

    def _head(self) -> bool:
        """Read a part's head; True when it is whole."""
        end = self._buffer.find(b"\r\n\r\n")
        if self._buffer.startswith(b"--"):  # The last delimiter: what follows means nothing.
            self._buffer = b"--"
            return False
        if end < 0:
            if len(self._buffer) > _MAX_HEAD:
                raise BadRequest("a part's head is too long", code="invalid_multipart")
            return False
        name = _NAME.search(self._buffer, 0, end)
        self._model = name is not None and name.group(1).strip(b'"') == b"model"
        self._drop(end + 4)
        self._in_head = False
        # An empty value: its delimiter's line break is the one that ended the head.
        self._buffer, self._at = b"\r\n" + self._buffer, self._at - 2
        return True

    def _take_model(self, end: int) -> None:
        if self.found is not None:
            raise BadRequest("`model` is given twice", code="duplicate_field", param="model")
        try:
            value = self._buffer[2:end].decode()
        except UnicodeDecodeError:
            raise BadRequest("`model` is not valid UTF-8", param="model") from None
        self.found = Part(value, self._at + 2, self._at + end)

    def _drop(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self._at += count
