"""The rules for a head's fields that the parser does not know, and the mapping of them.

A field that may be there once and decides what a message means is refused when it comes twice:
another reader could take the other one. The mapping has names in lower case and, of a field that
may come twice, the first value.
"""

from typing import Final

from proxy.server.refusals import FIELDS_LIMIT, LINE_LIMIT

Fields = list[tuple[bytes, bytes]]


class RefusedHeadError(Exception):
    """A head that is not served. Raised within the parser's callbacks, which stops the parser."""


# As aiohttp has it (RFC 9110 §5.3: fields that are no lists).
_ONCE: Final = frozenset(
    {
        "content-length",
        "content-location",
        "content-range",
        "content-type",
        "etag",
        "host",
        "max-forwards",
        "server",
        "transfer-encoding",
        "user-agent",
    }
)
# fmt: off
_USUAL: Final = (
    "accept", "accept-encoding", "accept-language", "api-key", "authorization", "cache-control",
    "connection", "content-encoding", "content-length", "content-type", "cookie", "expect",
    "forwarded", "host", "http-referer", "idempotency-key", "openai-beta", "openai-organization",
    "openai-project", "origin", "referer", "te", "traceparent", "tracestate", "transfer-encoding",
    "user-agent", "via", "x-api-key", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port",
    "x-forwarded-proto", "x-llm-proxy-task", "x-llm-proxy-tags", "x-real-ip", "x-request-id",
    "x-stainless-arch", "x-stainless-async", "x-stainless-lang", "x-stainless-os",
    "x-stainless-package-version", "x-stainless-read-timeout", "x-stainless-retry-count",
    "x-stainless-runtime", "x-stainless-runtime-version", "x-title",
)
# fmt: on
NAMES: Final = {
    spelt.encode(): name for name in _USUAL for spelt in (name, name.title(), name.capitalize())
} | {
    b"OpenAI-Beta": "openai-beta",
    b"OpenAI-Organization": "openai-organization",
    b"OpenAI-Project": "openai-project",
    b"X-Stainless-OS": "x-stainless-os",
}
"""Names as they are sent to names in lower case, for those that come with most requests."""


def mapping(fields: Fields) -> dict[str, str]:
    """Raises RefusedHeadError for doubled fields and too many."""
    known = NAMES.get
    try:
        headers = {known(name) or _lower(name): value.decode() for name, value in fields}
    except UnicodeDecodeError:
        headers = {_lower(name): _text(value) for name, value in fields}
    if len(headers) != len(fields):
        _check_doubled(fields)
        for name, value in reversed(fields):
            headers[_lower(name)] = _text(value)
    if len(fields) > FIELDS_LIMIT:
        raise RefusedHeadError("too many fields")
    return headers


def size(fields: Fields) -> int:
    """Bytes of the fields, as they are sent at least. Raises RefusedHeadError for one too long."""
    total = 0
    for name, value in fields:
        length = len(name) + len(value)
        if length > LINE_LIMIT:
            raise RefusedHeadError("a field is too long")
        total += length + 4
    return total


def _check_doubled(fields: Fields) -> None:
    """Raises RefusedHeadError when a field is there twice that must not be."""
    seen: set[str] = set()
    for spelt, _ in fields:
        name = _lower(spelt)
        if name in seen and name in _ONCE:
            raise RefusedHeadError("a field comes twice")
        seen.add(name)


def _lower(name: bytes) -> str:
    return name.lower().decode("ascii")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
