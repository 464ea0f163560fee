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

log = logging.getLogger("llm-proxy.attempt")


class Attempt:
    """Times are monotonic seconds; 0.0 means it never came to that."""

    __slots__ = (
        "cost",
        "ended",
        "error",
        "first_byte",
        "head",
        "hold",
        "kept",
        "model",
        "provider",
        "span",
        "started",
        "status",
        "usage",
    )

    def __init__(self, target: Target, span: str | None = None) -> None:
        self.span = span
        self.provider = target.provider.name
        self.model = target.model
        self.started = monotonic()
        self.head = 0.0
        self.first_byte = 0.0
        self.ended = 0.0
        self.status = 0
        self.error: str | None = None  # ProxyError.kind.
        self.hold: Grant | None = None  # What was taken for it from budgets and the provider.
        self.kept: KeptHold | None = None  # Its money, where that outlives this process.
        self.usage: Usage | None = None  # Known when the exchange is settled,
        self.cost: int | None = None  # in nano-USD; None: no price is known, or nothing was used.

    def failed(self, request: str, error: UpstreamError) -> None:
        """Note why it failed: the log gets hosts and causes, the caller no host names. What the
        vendor itself said goes to the caller only: it may quote the prompt."""
        self.error = error.kind
        self.ended = monotonic()
        why = error.message if error.public is not None else f"refused with status {self.status}"
        log.warning("%s: %s/%s: %s", request, self.provider, self.model, why)
        if error.public is not None:
            error.message = f"the provider `{self.provider}` {error.public}"
