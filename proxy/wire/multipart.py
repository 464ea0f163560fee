"""The `model` part of a multipart form (RFC 7578), found as the bytes pass, the file untouched.

Feed it the body piece by piece. It keeps no more than a part's head or a short value; file contents
run through it. It goes on looking after the find, because a second `model` part would let a caller
show us one model and the vendor another. For the same reason it refuses what form readers are known
to understand differently: a boundary behind a bare line feed, text behind a boundary, a head with
folded or doubled fields, a name that is `model` only for readers that unquote it.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.base.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

_BOUNDARY = re.compile(r'(?i);\s*boundary\s*=\s*(?:"([^"]*)"|([^\s;"]*))')
_SENDABLE = re.compile(r"[ !#-:<-\[\]-~]{1,200}")
_FIELD = re.compile(rb"[!-9;-~]+:[^\r\n\0]*")
_NAME = re.compile(rb'(?i)(?<![a-z])name\s*(\*?)\s*=\s*("(?:[^"\\]|\\.)*"|"|[^\s;"]*)')
_NOT_A_LETTER = re.compile(rb"[^a-z0-9_]+")
_PLAIN = frozenset((b"7bit", b"8bit", b"binary"))
_MAX_HEAD = 8 * 1024
_MAX_VALUE = 1024


@dataclass(frozen=True, slots=True)
class Part:
    """The value of the model part and where it stands in the body (offsets in bytes)."""

    value: str
    start: int
    end: int


def boundary_of(content_type: str) -> bytes:
    """The boundary parameter. Raises BadRequest unless there is just one that can be sent."""
    found: list[str] = [quoted or token for quoted, token in _BOUNDARY.findall(content_type)]
    if len(found) != 1 or _SENDABLE.fullmatch(found[0]) is None:
        raise _refused("multipart/form-data needs one boundary of printable ASCII")
    return found[0].encode("ascii")


class ModelPart:
    """Looks for the part called `model`; `found` is set once it is whole."""

    __slots__ = ("_at", "_boundary", "_buffer", "_model", "_step", "found")

    def __init__(self, boundary: bytes) -> None:
        self._boundary = b"--" + boundary
        # The first delimiter may stand at the very beginning, without a line break before it.
        self._buffer = b"\r\n"
        self._at = -2  # Offset in the body of the buffer's first byte.
        self._model = False  # Whether the part we are in is the model's.
        self._step: Callable[[ModelPart], bool] = ModelPart._content
        self.found: Part | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body. Raises BadRequest for a form that is not one."""
        self._buffer += data
        while self._step(self):
            pass

    # Each step reads what it can; True: the next step may go on with what is left.

    def _content(self) -> bool:
        end = self._buffer.find(self._boundary)
        while end >= 0:
            before = self._buffer[max(0, end - 2) : end]
            if before == b"\r\n":
                if self._model:
                    self._take_model(end - 2)
                self._go(end + len(self._boundary), ModelPart._delimiter)
                return True
            if before.endswith((b"\r", b"\n")):
                raise _refused("a boundary stands behind a bare CR or LF")
            end = self._buffer.find(self._boundary, end + 1)
        surely_content = len(self._buffer) - len(self._boundary) - 1
        if not self._model:
            self._drop(max(0, surely_content))
        elif surely_content - 2 > _MAX_VALUE:
            raise BadRequest("`model` is too long", code="invalid_multipart", param="model")
        return False

    def _delimiter(self) -> bool:
        """What stands behind a boundary: the end of the line, or `--` behind the last."""
        if self._buffer.startswith(b"--"):
            self._go(2, ModelPart._last)
            return True
        rest = self._buffer.lstrip(b" \t")
        padding = len(self._buffer) - len(rest)
        if rest.startswith(b"\r\n"):  # The break stays: it is also that before an empty head's end.
            self._go(padding, ModelPart._head)
            return True
        if padding > _MAX_HEAD or (rest not in {b"", b"\r"} and self._buffer != b"-"):
            raise _refused("a boundary stands inside a part")
        return False

    def _head(self) -> bool:
        """The fields of a part, with the line breaks before and behind them."""
        end = self._buffer.find(b"\r\n\r\n")
        if end > _MAX_HEAD or (end < 0 and len(self._buffer) - 3 > _MAX_HEAD):
            raise _refused("a part's head is too long")
        if end < 0:
            return False
        self._model = end > 0 and _is_model(self._buffer[2:end])
        # The break stays: an empty value's boundary has only this one before it.
        self._go(end + 2, ModelPart._content)
        return True

    def _last(self) -> bool:
        rest = self._buffer.lstrip(b" \t")
        if rest.startswith(b"\r\n"):
            self._step = ModelPart._epilogue
            return True
        if rest not in {b"", b"\r"}:
            raise _refused("a boundary stands inside a part")
        self._drop(len(self._buffer) - len(rest))
        return False

    def _epilogue(self) -> bool:
        self._drop(len(self._buffer))
        return False

    def _take_model(self, end: int) -> None:
        if self.found is not None:
            raise BadRequest("`model` is given twice", code="duplicate_field", param="model")
        if end - 2 > _MAX_VALUE:
            raise BadRequest("`model` is too long", code="invalid_multipart", param="model")
        try:
            value = self._buffer[2:end].decode()
        except UnicodeDecodeError:
            raise BadRequest("`model` is not valid UTF-8", param="model") from None
        self.found = Part(value, self._at + 2, self._at + end)

    def _go(self, count: int, step: "Callable[[ModelPart], bool]") -> None:
        self._drop(count)
        self._step = step

    def _drop(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self._at += count


def _is_model(head: bytes) -> bool:
    """Whether a part's head names it `model`. Raises BadRequest where readers could disagree."""
    disposition: bytes | None = None
    coded = False
    for line in head.split(b"\r\n"):
        if _FIELD.fullmatch(line) is None:
            raise _refused("a part's head has a line that is no field")
        field, _, value = line.partition(b":")
        name = field.lower()
        if name == b"content-disposition":
            if disposition is not None:
                raise _refused("a part has two Content-Disposition fields")
            disposition = value
        elif name == b"content-transfer-encoding":
            coded = coded or value.strip().lower() not in _PLAIN
    if disposition is None or not _names_model(disposition):
        return False
    if coded:
        raise _refused("the `model` part must not be encoded")
    return True


def _names_model(disposition: bytes) -> bool:
    names = _NAME.findall(disposition)
    if not names:
        return False
    star, name = names[0]
    if len(names) > 1 or star or name == b'"':
        raise _refused("a part's name cannot be told for sure")
    name = name[1:-1] if name.startswith(b'"') else name
    if name != b"model" and _NOT_A_LETTER.sub(b"", name.lower()) == b"model":
        raise _refused("a part's name is not quite `model`")
    return bool(name == b"model")


def _refused(why: str) -> BadRequest:
    return BadRequest(why, code="invalid_multipart")
