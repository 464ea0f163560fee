"""Where a request can go: providers, targets and models, as the life of a request sees them.

Built once per configuration by `build/`, immutable, shared by all requests of a snapshot.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from proxy.core.caller import Access
from proxy.core.ports import Answer, Outgoing, Timeouts, Transport
from proxy.core.quota import NO_WALLS, Walls
from proxy.wire.operations import Operation

if TYPE_CHECKING:
    from proxy.base.errors import UpstreamError
    from proxy.core.exchange import Decoder, Exchange
    from proxy.wire.headers import Pairs, VendorHead


class Adapter(Protocol):
    """How one vendor speaks one operation: pure, no I/O, no clock."""

    def request(self, x: "Exchange", target: "Target", /) -> Outgoing:
        """The request as the vendor wants it; an unchanged body is the raw bytes themselves."""

    def decoder(self, x: "Exchange", /) -> "Decoder | None":
        """What must change in a stream of events; None: nothing, the raw path."""

    def headers(self, x: "Exchange", head: "VendorHead", /) -> "Pairs":
        """The answer's header fields for the caller."""

    def error(self, x: "Exchange", answer: Answer, body: bytes, /) -> "UpstreamError":
        """What an answer of status 400 or above means."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A vendor account: an address, credentials, deadlines."""

    name: str
    transport: Transport
    timeouts: Timeouts
    adapters: Mapping[str, Adapter]  # By operation name; "" for every other operation.
    base_path: str = ""
    # Configured fields, sent with every request; they may hold credentials.
    headers: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    replaced: frozenset[bytes] = frozenset()  # Lower-case names of `headers`.
    credentials: Iterator[tuple[bytes, bytes] | None] | None = (
        None  # The next key's field, in turn.
    )
    off: str | None = None  # Why it cannot be used, or None.
    walls: Walls = NO_WALLS
    secrets: tuple[bytes, ...] = field(default=(), repr=False)  # What no answer may quote.

    def adapter(self, operation: Operation) -> Adapter:
        return self.adapters.get(operation.name) or self.adapters[""]


@dataclass(frozen=True, slots=True)
class Target:
    """One provider with the model's name there. `model` is empty for operations without a model."""

    provider: Provider
    model: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Route:
    """What a model's name in a request leads to: targets in the order they are to be tried."""

    model: str  # The configured name that matched (may be a pattern).
    targets: tuple[Target, ...]
    access: Access = Access.INTERNAL
    authorized: frozenset[str] | None = None  # As `user:ada`, `role:x`; None: no list.
    walls: Walls = NO_WALLS


class Catalogue(Protocol):
    """All configured models."""

    def route(self, asked: str) -> Route | None:
        """The route of a model name, targets in order for this request, or None if unknown."""

    def names(self) -> tuple[str, ...]:
        """Every name that can be asked for literally (no patterns)."""

    def routes(self) -> tuple[Route, ...]:
        """Every route, patterns too, targets as they are written."""

    def near(self, asked: str) -> str | None:
        """The known name most like `asked`, if any is."""
