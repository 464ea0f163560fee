"""An export request for spans that are bytes already, put together without being parsed.

    ExportTraceServiceRequest.resource_spans ← ResourceSpans.scope_spans ← ScopeSpans.spans

What a span is in a request is said by `framed`.

Resource and scope are the same in all requests: encoded once.
"""

from collections.abc import Iterable
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from proxy.telemetry.otlp_bytes import message, varint

_RESOURCE_SPANS: Final = b"\x0a"
_RESOURCE: Final = b"\x0a"
_SCOPE_SPANS: Final = b"\x12"
_SCOPE: Final = b"\x0a"

FRAME: Final = b"\x12"
"""Before the length of a span."""


def framed(span: bytes) -> bytes:
    """An encoded `Span` as requests have it."""
    return message(FRAME, span)


class SpanRequest:
    """Makes requests from one resource and scope."""

    __slots__ = ("_resource", "_scope")

    def __init__(self, resource: Resource, scope: InstrumentationScope) -> None:
        self._resource = message(_RESOURCE, resource.SerializeToString())
        self._scope = message(_SCOPE, scope.SerializeToString())

    def of(self, spans: Iterable[bytes]) -> bytes:
        """The request for these spans, each `framed`."""
        parts = (self._scope, *spans)
        size = sum(map(len, parts))
        scope_spans = _SCOPE_SPANS + varint(size)
        size += len(self._resource) + len(scope_spans)
        # All at once, for it is long: half a megabyte.
        return b"".join((_RESOURCE_SPANS, varint(size), self._resource, scope_spans, *parts))
