"""Protobuf's wire format, as much of it as a span needs: attributes and messages as bytes.

https://protobuf.dev/programming-guides/encoding/ and OTLP's `common.proto` and `trace.proto`. What
many spans share is made by `attributes`, once. What each says anew has a `Name`, all of which was
encoded before but the value. `test_otlp_bytes.py` has protobuf's own library for a judge.
"""

from collections.abc import Mapping
from struct import Struct

from proxy.telemetry.attributes import LONGEST, Value, sendable

_ATTRIBUTE = b"\x4a"  # Span.attributes.
_KEY, _VALUE = b"\x0a", b"\x12"  # Of a KeyValue.
_TEXT, _FLAG, _WHOLE, _REAL, _ARRAY = b"\x0a", b"\x10", b"\x18", b"\x21", b"\x2a"  # Of an AnyValue.
_ELEMENT = b"\x0a"  # ArrayValue.values.

_SMALL = tuple(bytes((number,)) for number in range(0x80))
_MOST, _LEAST = (1 << 63) - 1, -(1 << 63)
_LONGEST_VARINT = 10
_LONGEST_NAME = 100  # So that the length of a name and a number fits in one byte.

_double = Struct("<d").pack


def varint(number: int) -> bytes:
    """An integer that is not negative."""
    if number < 0x80:
        return _SMALL[number]
    first = number & 0x7F | 0x80
    if number < 0x4000:
        return b"%c%c" % (first, number >> 7)
    second = number >> 7 & 0x7F | 0x80
    if number < 0x200000:
        return b"%c%c%c" % (first, second, number >> 14)
    third = number >> 14 & 0x7F | 0x80
    if number < 0x10000000:
        return b"%c%c%c%c" % (first, second, third, number >> 21)
    return b"%c%c%c" % (first, second, third) + varint(number >> 21)


def int64(number: int) -> bytes:
    """Raises ValueError beyond 64 bits."""
    if 0 <= number <= _MOST:
        return varint(number)
    if _LEAST <= number < 0:
        return varint(number + (1 << 64))
    raise ValueError("an integer beyond 64 bits")


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

    __slots__ = ("_key", "_prefix", "_real", "_room", "_whole")

    def __init__(self, name: str) -> None:
        if len(name) > _LONGEST_NAME:
            raise ValueError(f"{name} is too long")
        key = self._key = message(_KEY, name.encode())
        # Tags and lengths before a short text: two of the value, two of the text in it.
        self._prefix = len(key) + 4
        self._room = 0x7F - self._prefix
        self._real = self._before(_REAL, 8)
        lengths = range(1, _LONGEST_VARINT + 1)
        self._whole = tuple(self._before(_WHOLE, length) for length in lengths)

    def text(self, value: bytes) -> bytes:
        """A text, as `utf8` gives it."""
        size = len(value)
        if size <= self._room:
            return b"\x4a%c%b\x12%c\x0a%c%b" % (
                self._prefix + size,
                self._key,
                size + 2,
                size,
                value,
            )
        return message(_ATTRIBUTE, self._key + message(_VALUE, message(_TEXT, value)))

    def whole(self, number: bytes) -> bytes:
        """An integer, as `int64` gives it."""
        return self._whole[len(number) - 1] + number

    def real(self, number: float) -> bytes:
        """A float."""
        return self._real + _double(number)

    def _before(self, tag: bytes, size: int) -> bytes:
        value = b"%b%c%b" % (_VALUE, size + 1, tag)
        return b"%b%c%b%b" % (_ATTRIBUTE, len(self._key) + len(value) + size, self._key, value)
