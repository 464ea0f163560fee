"""Attributes of metrics and of the resource, as OTLP's protobufs: what is None is left out.

Those of spans, which are many, are made as bytes (`otlp_bytes.py`) by the same rules.
"""

from collections.abc import Mapping
from typing import Protocol

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

Value = str | int | float | bool | tuple[str, ...] | None
Attributes = Mapping[str, Value]

LONGEST = 256 * 1024
"""Longer texts are cut: collectors refuse messages of some megabytes, and the rest with them."""


class Into(Protocol):
    """The attributes of a point or a resource."""

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
            slot.string_value = sendable(value)
        case bool():
            slot.bool_value = value
        case int():
            slot.int_value = value
        case float():
            slot.double_value = value
        case _:
            for each in value:
                slot.array_value.values.add().string_value = sendable(each)


def sendable(text: str) -> str:
    """The text as it can be told: not too long, and without lone surrogates."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + "…"
    if text.isascii():
        return text
    # Protobuf has no way to send a lone surrogate.
    return text.encode("utf-8", "replace").decode()
