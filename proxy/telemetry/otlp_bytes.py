"""Protobuf's wire format, as much of it as a span needs: attributes and messages as bytes.

https://protobuf.dev/programming-guides/encoding/ and OTLP's `common.proto` and `trace.proto`. What
many spans share is made by `attributes`, once. What each says anew has a `Name`, all of which was
encoded before but the value. `test_otlp_bytes.py` has protobuf's own library for a judge.
"""

from collections.abc import Mapping
from struct import Struct
from typing import Final

from proxy.telemetry.attributes import LONGEST, Value, sendable

_ATTRIBUTE: Final = b"\x4a"  # Span.attributes.
_KEY: Final = b"\x0a"  # Of a KeyValue.
_VALUE: Final = b"\x12"
_TEXT: Final = b"\x0a"  # Of an AnyValue.
_FLAG: Final = b"\x10"
_WHOLE: Final = b"\x18"
_REAL: Final = b"\x21"
_ARRAY: Final = b"\x2a"
_ELEMENT: Final = b"\x0a"  # ArrayValue.values.

_SMALL: Final = tuple(bytes((number,)) for number in range(0x80))
SHORT: Final = (*_SMALL, *(bytes((n & 0x7F | 0x80, n >> 7)) for n in range(0x80, 0x1000)))
"""Counts of tokens and bytes mostly are: a look-up takes a third of the time."""
_MORE: Final = tuple(bytes((number | 0x80,)) for number in range(0x80))
"""A byte of a varint that is not its last."""
_LONGEST_VARINT: Final = 10
_LONGEST_NAME: Final = 100  # So that the length of a name and a number fits in one byte.
_KEPT_HEADS: Final = 1024

_double: Final = Struct("<d").pack


def varint(number: int) -> bytes:
    """An integer that is not negative."""
    if number < 0x1000:
        return SHORT[number]
    if number < 0x80000:
        return _MORE[number & 0x7F] + SHORT[number >> 7]
    if number < 0x4000000:
        return _MORE[number & 0x7F] + _MORE[number >> 7 & 0x7F] + SHORT[number >> 14]
    return _MORE[number & 0x7F] + _MORE[number >> 7 & 0x7F] + varint(number >> 14)


def int64(number: int) -> bytes:
    """Raises ValueError beyond 64 bits."""
    beyond = number >> 63
    if beyond == 0:
        return varint(number)
    if beyond == -1:
        return varint(number + (1 << 64))
    raise ValueError("an integer beyond 64 bits")


class _Wholes(dict[int, bytes]):
    """Looked up, which is twice as quick as a call; or made."""

    def __missing__(self, number: int) -> bytes:
        return int64(number)


WHOLES: Final = _Wholes(enumerate(SHORT))
"""`int64` by its number."""


def message(tag: bytes, content: bytes) -> bytes:
    """A field of any length: a message, a text, bytes."""
    return b"%b%b%b" % (tag, varint(len(content)), content)


def utf8(text: str) -> bytes:
    """A text as it can be told."""
    return (sendable(text) if len(text) > LONGEST else text).encode("utf-8", "replace")


def attribute(name: str, value: Value) -> bytes:
    """An attribute of a span; nothing for None and for no texts at all. Raises ValueError for an
    integer beyond 64 bits."""
    if value is None or value == ():
        return b""
    pair = message(_KEY, name.encode()) + message(_VALUE, _any(value))
    return message(_ATTRIBUTE, pair)


def attributes(found: Mapping[str, Value]) -> bytes:
    """Attributes in the order given."""
    return b"".join([attribute(name, value) for name, value in found.items()])


def _any(value: str | int | float | bool | tuple[str, ...]) -> bytes:
    match value:
        case str():
            return message(_TEXT, utf8(value))
        case bool():
            return _FLAG + _SMALL[value]
        case int():
            return _WHOLE + int64(value)
        case float():
            return _REAL + _double(value)
        case _:
            elements = [message(_ELEMENT, message(_TEXT, utf8(each))) for each in value]
            return message(_ARRAY, b"".join(elements))


class Name:
    """The name of an attribute; its methods give the attribute with a value of their type."""

    __slots__ = ("_heads", "_key", "real_head", "wholes")

    def __init__(self, name: str) -> None:
        if len(name) > _LONGEST_NAME:
            raise ValueError(f"{name} is too long")
        self._key = message(_KEY, name.encode())
        self._heads: dict[int, bytes] = {}
        self.real_head = self._before(_REAL, 8)
        """What stands before the eight bytes of a float."""
        lengths = range(_LONGEST_VARINT + 1)
        self.wholes = tuple(self._before(_WHOLE, length) for length in lengths)
        """What stands before an integer, by the length of that."""

    def text(self, value: bytes) -> bytes:
        """A text, as `utf8` gives it."""
        return self.text_head(len(value)) + value

    def text_head(self, size: int) -> bytes:
        """What stands before a text of that size."""
        head = self._heads.get(size)
        return self._head(size) if head is None else head

    def whole(self, number: bytes) -> bytes:
        """An integer, as `int64` gives it."""
        return self.wholes[len(number)] + number

    def real(self, number: float) -> bytes:
        """A float."""
        return self.real_head + _double(number)

    def _head(self, size: int) -> bytes:
        # Kept for those that are usual.
        value = _TEXT + varint(size)
        value = _VALUE + varint(len(value) + size) + value
        pair = len(self._key) + len(value) + size
        head = b"%b%b%b%b" % (_ATTRIBUTE, varint(pair), self._key, value)
        if size < _KEPT_HEADS:
            self._heads[size] = head
        return head

    def _before(self, tag: bytes, size: int) -> bytes:
        value = b"%b%c%b" % (_VALUE, size + 1, tag)
        return b"%b%c%b%b" % (_ATTRIBUTE, len(self._key) + len(value) + size, self._key, value)
