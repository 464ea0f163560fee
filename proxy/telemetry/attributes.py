"""Attributes of spans and metrics, as OTLP's protobufs: what is None is left out.

Filled in place: a third of the time that building and copying each message takes.
"""

from collections.abc import Mapping
from typing import Protocol

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

Value = str | int | float | bool | tuple[str, ...] | None
Attributes = Mapping[str, Value]

LONGEST = 256 * 1024
"""Longer texts are cut: collectors refuse messages of some megabytes, and the rest with them."""


class Into(Protocol):
    """The attributes of a span, a point or a resource."""

    def add(self) -> KeyValue: ...


def fill(into: Into, attributes: Attributes) -> None:
    """Add them in the order given. Raises ValueError for an integer beyond 64 bits."""
    add = into.add
    for key, value in attributes.items():
        if value is None or value == ():
            continue
        pair = add()
        pair.key = key
        _set(pair.value, value)


def _set(slot: AnyValue, value: str | int | float | bool | tuple[str, ...]) -> None:
    match value:
        case str():
            slot.string_value = _sendable(value)
        case bool():
            slot.bool_value = value
        case int():
            slot.int_value = value
        case float():
            slot.double_value = value
        case _:
            for each in value:
                slot.array_value.values.add().string_value = _sendable(each)


def _sendable(text: str) -> str:
    if len(text) > LONGEST:
        text = text[:LONGEST] + "…"
    if text.isascii():
        return text
    # Protobuf has no way to send a lone surrogate.
    return text.encode("utf-8", "replace").decode()
