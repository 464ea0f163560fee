"""Our keys at one vendor: which one the next attempt uses, and which are left alone for a while.

`providers/` implements it, one for each provider and worker; it outlives a reload that changes no
key. The place of the key stands on the attempt, so that a failure is charged to the right one.
"""

from typing import Protocol


class KeyRing(Protocol):
    """Nothing here raises, waits or shows a key."""

    def take(self) -> int:
        """The place of the key for the next attempt. There always is one: where all rest it is the
        one that returns first."""

    def field(self, key: int) -> tuple[bytes, bytes]:
        """The header field that has this key."""

    def has_other(self, key: int) -> bool:
        """Whether another key could be used now."""

    def failed(self, key: int, reason: str, seconds: float | None = None) -> bool:
        """An attempt with this key failed (verdicts.py). `seconds`: how long the vendor asks to
        wait. Whether the key rests now: it does only where another can take its place."""

    def worked(self, key: int) -> None:
        """The vendor took this key."""

    def rest(self, key: int, seconds: float) -> bool:
        """This key has nothing left for so long. Whether it rests now, as for `failed`."""

    def soonest(self) -> float:
        """Seconds until a key that rests returns; infinite where there is but one."""
