"""Where a request can go: providers, targets and models, as the life of a request sees them.

Built once per configuration by `build/`, immutable, shared by all requests of a snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from proxy.core.caller import Access
from proxy.core.health import UNWATCHED, Health
from proxy.core.key_ring import KeyRing
from proxy.core.outgoing import Outgoing, Timeouts
from proxy.core.policy import USUAL, Policy
from proxy.core.ports import Answer, Transport
from proxy.core.quota import NO_WALLS, Walls
from proxy.wire.operations import Operation

if TYPE_CHECKING:
    from proxy.base.errors import UpstreamError
    from proxy.core.exchange import Decoder, Exchange
    from proxy.wire.headers import Pairs, VendorHead


SEARCHING: Final = ("search", "sonar")
"""In the name of a model that searches the web by itself."""


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
    keys: KeyRing | None = field(default=None, repr=False, compare=False)  # None: none is sent.
    off: str | None = None  # Why it cannot be used, or None.
    walls: Walls = NO_WALLS
    secrets: tuple[bytes, ...] = field(default=(), repr=False)  # What no answer may quote.
    region: str | None = None
    residency: str = "cloud"  # Or `local`: what is sent there does not leave the house.

    def adapter(self, operation: Operation) -> Adapter:
        return self.adapters.get(operation.name) or self.adapters[""]


@dataclass(frozen=True, slots=True)
class Target:
    """One provider with the model's name there. `model` is empty for operations without a model.

    `capabilities`: what it can do; None: nobody said, so it is taken to be able to do everything
    but `prefill`. `context_window`: in tokens; None: not known."""

    provider: Provider
    model: str = ""
    weight: float = 1.0
    tier: int = 1  # Those of tier 2 are tried when all of tier 1 are out.
    quality: float | None = None  # 0 to 1.
    capabilities: frozenset[str] | None = None
    context_window: int | None = None
    route: str = ""  # The configured model that it belongs to.
    tiered: bool = False  # Whether that has targets of several tiers.
    deprecated: bool = False  # Whether that is: it answers, and says so.
    policy: Policy = USUAL  # Of that model,
    walls: Walls = NO_WALLS  # as it is written in the configuration.
    health: Health = field(default=UNWATCHED, compare=False)
    lines: tuple[tuple[bytes, bytes], ...] = field(default=(), compare=False)  # Who answered.
    searches: bool = field(default=False, compare=False)  # By itself, as its name tells.

    def __post_init__(self) -> None:
        named = [(b"x-llm-proxy-provider", self.provider.name.encode())]
        if self.model:
            # A name that a pattern made may be anything; one that is no text is never asked for.
            named.append((b"x-llm-proxy-model", self.model.encode(errors="replace")))
        if self.tiered:
            named.append((b"x-llm-proxy-tier", b"%d" % self.tier))
        if self.deprecated:
            named.append((b"x-llm-proxy-deprecated", b"true"))
        object.__setattr__(self, "lines", tuple(named))  # Once here, and not for every answer.
        object.__setattr__(self, "searches", any(part in self.model for part in SEARCHING))


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """What a model's name in a request leads to. It is itself and nothing else, so that what is
    worked out for it can be kept by it."""

    model: str  # The configured name that matched (may be a pattern).
    targets: tuple[Target, ...]  # As they are written.
    access: Access = Access.INTERNAL
    authorized: frozenset[str] | None = None  # As `user:ada`, `role:x`; None: no list.
    walls: Walls = NO_WALLS
    policy: Policy = USUAL
    off: str | None = None  # Why it is not to be used, or None.
    reachable: bool = field(init=False)  # Not all of its providers are off.
    searches: bool = field(init=False)  # At least one of its targets searches the web by itself.

    def __post_init__(self) -> None:
        reachable = any(target.provider.off is None for target in self.targets)
        searches = any(target.searches for target in self.targets)
        object.__setattr__(self, "reachable", reachable)
        object.__setattr__(self, "searches", searches)


class Catalogue(Protocol):
    """All configured models."""

    def route(self, asked: str) -> Route | None:
        """The route of a model name, or None if unknown."""

    def names(self) -> tuple[str, ...]:
        """Every name that can be asked for literally (no patterns)."""

    def routes(self) -> tuple[Route, ...]:
        """Every route, patterns too, targets as they are written."""

    def near(self, asked: str) -> str | None:
        """The known name most like `asked`, if any is."""
