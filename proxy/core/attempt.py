"""One try at one target: what the record will say of it."""

from proxy.base.clock import monotonic
from proxy.core.target import Target


class Attempt:
    """Times are monotonic seconds; 0.0 means it never came to that."""

    __slots__ = ("error", "first_byte", "head", "model", "provider", "started", "status")

    def __init__(self, target: Target) -> None:
        self.provider = target.provider.name
        self.model = target.model
        self.started = monotonic()
        self.head = 0.0
        self.first_byte = 0.0
        self.status = 0
        self.error: str | None = None  # ProxyError.kind.
