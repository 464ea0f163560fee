"""Which header fields travel through a proxy, and how a head is written.

Hop-by-hop fields (RFC 9110 §7.6.1) end here, with those that `Connection` names. Host, lengths
and framing belong to each connection. Credentials and cookies of the caller never leave: the vendor
gets the operator's, and its own cookies, tied to our shared connection, stay here. All else passes
unchanged, in order, in its own spelling.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.wire.recalled import Recalled

Pairs = list[tuple[bytes, bytes]]

HOP_BY_HOP: Final = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer"),
        *(b"transfer-encoding", b"upgrade", b"proxy-authenticate", b"proxy-authorization"),
    )
)

# Ours to set on the way out, or the caller's business with us only. The organisation and project
# of a bill are the operator's choice, not the caller's: these fields would pick another.
NOT_FORWARDED: Final = HOP_BY_HOP | {
    *(b"host", b"content-length", b"expect", b"http2-settings"),
    *(b"authorization", b"x-api-key", b"api-key", b"cookie"),
    *(b"openai-organization", b"openai-project", b"traceparent", b"tracestate"),
}
OWN_PREFIX: Final = b"x-llm-proxy-"
RATE_LIMIT_PREFIX: Final = b"x-ratelimit-"
_MOST_SPELLINGS: Final = 1024

NOT_RELAYED: Final = HOP_BY_HOP | {
    *(b"content-length", b"set-cookie", b"x-request-id"),
    *(b"alt-svc", b"strict-transport-security"),  # About the vendor's host, not about ours.
}


def to_vendor(
    raw: Iterable[tuple[bytes, bytes]], replaced: frozenset[bytes] = frozenset()
) -> Pairs:
    """The caller's fields that go on to the vendor, without those the target replaces
    (lower-case names)."""
    return _caller_fields(replaced).kept(raw)


def to_caller(
    raw: Sequence[tuple[bytes, bytes]], replaced: frozenset[bytes] = frozenset()
) -> Pairs:
    """The vendor's fields that go on to the caller, without those we replace (lower-case)."""
    return [field for field in VendorHead(raw).kept if field[0].lower() not in replaced]


class CallerFields:
    """Judges the names of a caller's fields, each spelling once. `replaced`: those that the target
    replaces, in lower case."""

    __slots__ = ("_known", "_replaced")

    def __init__(self, replaced: frozenset[bytes]) -> None:
        self._replaced = replaced
        self._known: dict[bytes, bool | None] = {}

    def kept(self, raw: Iterable[tuple[bytes, bytes]]) -> Pairs:
        """The fields that go on to the vendor."""
        known = self._known
        kept: Pairs = []
        connection = b""
        for field in raw:
            try:
                stays = known[field[0]]
            except KeyError:
                stays = self._judge(field[0])
            if stays:
                kept.append(field)
            elif stays is None:
                connection += b"," + field[1]
        return _without_named(kept, connection) if connection else kept

    def kept_again(self, raw: Iterable[tuple[bytes, bytes]], recalled: "Recalled | None") -> Pairs:
        """The same, for a head of which much may be known."""
        if recalled is None:
            return self.kept(raw)
        if recalled.judge is not self:
            recalled.kept, recalled.judge = self.kept(raw), self
        return recalled.kept.copy()

    def _judge(self, spelling: bytes) -> bool | None:
        """Whether a field stays; None for Connection, whose value counts."""
        name = spelling.lower()
        stays: bool | None = not (
            name in NOT_FORWARDED or name in self._replaced or name.startswith(OWN_PREFIX)
        )
        if name == b"connection":
            stays = None
        if len(self._known) < _MOST_SPELLINGS:
            self._known[spelling] = stays
        return stays


@lru_cache(maxsize=256)
def _caller_fields(replaced: frozenset[bytes]) -> CallerFields:
    return CallerFields(replaced)


_CONNECTION: Final = 1
_TYPE: Final = 2
_LENGTH: Final = 3
_TRANSFER: Final = 4
_CODING: Final = 5
_REQUEST_ID: Final = 6
_LIMIT: Final = 7
_READ: Final = {
    b"connection": _CONNECTION,
    b"content-type": _TYPE,
    b"content-length": _LENGTH,
    b"transfer-encoding": _TRANSFER,
    b"content-encoding": _CODING,
    b"x-request-id": _REQUEST_ID,
}


@lru_cache(maxsize=_MOST_SPELLINGS)
def _of_vendor(spelling: bytes) -> tuple[bool, int]:
    """Of a vendor's field: whether it goes on, and how it is read, if it is."""
    name = spelling.lower()
    stays = name not in NOT_RELAYED and not name.startswith(OWN_PREFIX)
    return stays, _READ.get(name, _LIMIT if name.startswith(RATE_LIMIT_PREFIX) else 0)


@lru_cache(maxsize=_MOST_SPELLINGS)
def _of_content_type(text: bytes) -> tuple[bytes, bool, bool, bool]:
    """In lower case; whether it is JSON, events, HTML."""
    text = text.lower()
    is_json = text.startswith(b"application/json")
    return text, is_json, text.startswith(b"text/event-stream"), text.startswith(b"text/html")


class VendorHead:
    """The fields of a vendor's answer, read once: what goes on, and what we need to know."""

    __slots__ = (
        "coding",
        "content_type",
        "framed",
        "is_events",
        "is_html",
        "is_json",
        "kept",
        "length",
        "limits",
        "request_id",
    )

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self.content_type = b""  # In lower case.
        self.is_json = self.is_events = self.is_html = False
        self.coding: bytes | None = None  # Content-Encoding, but identity.
        self.length: int | None = None
        self.framed = False  # Whether HTTP says where the body ends, other than by closing.
        self.request_id: bytes | None = None
        self.limits = False  # Whether the vendor says how its own limits stand.
        kept: Pairs = []  # What goes on to the caller.
        connection = b""
        for field in raw:
            stays, read = _of_vendor(field[0])
            if stays:
                kept.append(field)
            if read == _CONNECTION:
                connection += b"," + field[1]
            elif read:
                self._read(read, field[1])
        self.kept = _without_named(kept, connection) if connection else kept

    def _read(self, how: int, text: bytes) -> None:
        if how == _LIMIT:
            self.limits = True
        elif how == _TYPE:
            if not self.content_type:
                found = _of_content_type(text)
                self.content_type, self.is_json, self.is_events, self.is_html = found
        elif how == _LENGTH:
            self.length, self.framed = int(text) if text.isdigit() else None, True
        elif how == _TRANSFER:
            self.framed = True
        elif how == _CODING:
            coding = text.strip().lower()
            self.coding = None if coding == b"identity" else coding
        else:
            self.request_id = text


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
    if connection == b",keep-alive":
        return kept
    named = {token.strip().lower() for token in connection.split(b",")}
    named -= {b"", b"keep-alive", b"close"}
    return [field for field in kept if field[0].lower() not in named] if named else kept
