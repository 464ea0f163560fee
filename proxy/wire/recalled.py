"""What was found out from the head of a request alone: kept for the next one with the same head."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.wire.headers import CallerFields, Pairs


class Recalled:
    """Of one head; each is filled in by whoever finds it out."""

    __slots__ = ("digest", "judge", "kept")

    def __init__(self) -> None:
        self.digest = b""  # SHA-256 of the key that it has.
        self.judge: CallerFields | None = None  # Who said what is `kept`.
        self.kept: Pairs = []  # The fields that go on to a vendor. Never changed.
