"""Which header fields travel through a proxy, and how a head is written.

Hop-by-hop fields (RFC 9110 §7.6.1) end here, with those that `Connection` names. Host, lengths
and framing belong to each connection. Credentials and cookies of the caller never leave: the vendor
gets the operator's, and its own cookies, tied to our shared connection, stay here. All else passes
unchanged, in order, in its own spelling.
"""

from collections.abc import Iterable, Sequence

Pairs = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer"),
        *(b"transfer-encoding", b"upgrade", b"proxy-authenticate", b"proxy-authorization"),
    )
)

# Ours to set on the way out, or the caller's business with us only. The organisation and project
# of a bill are the operator's choice, not the caller's: these fields would pick another.
NOT_FORWARDED = HOP_BY_HOP | {
    *(b"host", b"content-length", b"expect", b"http2-settings"),
    *(b"authorization", b"x-api-key", b"api-key", b"cookie"),
    *(b"openai-organization", b"openai-project", b"traceparent", b"tracestate"),
}
OWN_PREFIX = b"x-llm-proxy-"

NOT_RELAYED = HOP_BY_HOP | {
    *(b"content-length", b"set-cookie", b"x-request-id"),
    *(b"alt-svc", b"strict-transport-security"),  # About the vendor's host, not about ours.
}


def to_vendor(
    raw: Iterable[tuple[bytes, bytes]], replaced: frozenset[bytes] = frozenset()
) -> Pairs:
    """The caller's fields that go on to the vendor, without those the target replaces
    (lower-case names)."""
    kept: Pairs = []
    connection = b""
    for field in raw:
        name = field[0].lower()
        if name in NOT_FORWARDED:
            if name == b"connection":
                connection += b"," + field[1]
        elif name not in replaced and not name.startswith(OWN_PREFIX):
            kept.append(field)
    return _without_named(kept, connection)


def to_caller(
    raw: Sequence[tuple[bytes, bytes]], replaced: frozenset[bytes] = frozenset()
) -> Pairs:
    """The vendor's fields that go on to the caller, without those we replace (lower-case)."""
    kept: Pairs = []
    connection = b""
    for field in raw:
        name = field[0].lower()
        if name in NOT_RELAYED:
            if name == b"connection":
                connection += b"," + field[1]
        elif name not in replaced and not name.startswith(OWN_PREFIX):
            kept.append(field)
    return _without_named(kept, connection)


def value(raw: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The first value of field `name` (lower-case), or None."""
    for key, found in raw:
        if key.lower() == name:
            return found
    return None


def without(raw: Pairs, name: bytes) -> Pairs:
    """The fields but those called `name` (lower-case)."""
    return [field for field in raw if field[0].lower() != name]


def _without_named(kept: Pairs, connection: bytes) -> Pairs:
    if not connection or connection == b",keep-alive":
        return kept
    named = {token.strip().lower() for token in connection.split(b",")}
    named -= {b"", b"keep-alive", b"close"}
    return [field for field in kept if field[0].lower() not in named] if named else kept
