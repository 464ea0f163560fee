"""One try at one target: what the record will say of it."""

import logging

from proxy.base.clock import monotonic
from proxy.base.errors import UpstreamError
from proxy.core.target import Target

log = logging.getLogger("llm-proxy.attempt")


class Attempt:
    """Times are monotonic seconds; 0.0 means it never came to that."""

    __slots__ = (
        "ended",
        "error",
        "first_byte",
        "head",
        "model",
        "provider",
        "span",
        "started",
        "status",
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

    def failed(self, request: str, error: UpstreamError) -> None:
        """Note why it failed: the log gets the whole story, the caller no host names."""
        self.error = error.kind
        self.ended = monotonic()
        log.warning("%s: %s/%s: %s", request, self.provider, self.model, error.message)
        if error.public is not None:
            error.message = f"the provider `{self.provider}` {error.public}"
