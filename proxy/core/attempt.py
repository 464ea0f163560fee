"""One try at one target: what the record will say of it."""

import logging
from typing import TYPE_CHECKING

from proxy.base.clock import monotonic
from proxy.base.errors import UpstreamError
from proxy.core.target import Target

if TYPE_CHECKING:
    from proxy.core.hold_book import KeptHold
    from proxy.core.quota import Grant
    from proxy.wire.record import Usage
    from proxy.wire.tail import Tail

log = logging.getLogger("llm-proxy.attempt")


class Attempt:
    """Times are monotonic seconds; 0.0 means it never came to that."""

    __slots__ = (
        "cost",
        "ended",
        "error",
        "first_byte",
        "head",
        "heard",
        "hold",
        "kept",
        "model",
        "open",
        "provider",
        "reason",
        "span",
        "started",
        "status",
        "target",
        "usage",
    )

    def __init__(self, target: Target, span: str | None = None) -> None:
        self.span = span
        self.target = target
        self.provider = target.provider.name
        self.model = target.model
        self.started = monotonic()
        self.head = 0.0
        self.first_byte = 0.0
        self.ended = 0.0
        self.status = 0
        self.error: str | None = None  # ProxyError.kind.
        self.reason: str | None = None  # Of verdicts.py.
        self.heard: Tail | None = None  # What it answered, where another answer took its place.
        self.open = False  # Whether its target counts it among those under way.
        self.hold: Grant | None = None  # What was taken for it from budgets and the provider.
        self.kept: KeptHold | None = None  # Its money, where that outlives this process.
        self.usage: Usage | None = None  # Known when the exchange is settled,
        self.cost: int | None = None  # in nano-USD; None: no price is known, or nothing was used.

    def sent(self) -> None:
        """It is about to leave."""
        self.open = True
        self.target.health.begin()

    def answers(self) -> None:
        """The first bytes of a good answer are here."""
        self.first_byte = now = monotonic()
        self.target.health.first_token(now - self.started)

    def over(self) -> None:
        """Nothing more will be learned of its target from it. Idempotent."""
        if self.open:
            self.open = False
            self.target.health.end(self.reason)

    def failed(self, request: str, error: UpstreamError) -> None:
        """Note why it failed: the log gets hosts and causes, the caller no host names. What the
        vendor itself said goes to the caller only: it may quote the prompt."""
        self.error = error.kind
        self.reason = error.reason
        self.ended = monotonic()
        self.over()
        why = error.message if error.public is not None else f"refused with status {self.status}"
        log.warning("%s: %s/%s: %s", request, self.provider, self.model, why)
        if error.public is not None:
            error.message = f"the provider `{self.provider}` {error.public}"
