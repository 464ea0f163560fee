"""What this worker knows of one target: whether it answers, how fast, and how busy it is.

`routing/` implements it, one for each target of a model; it outlives a reload of the configuration.
"""

from typing import Protocol


class Health(Protocol):
    """Of one target. Nothing here raises or waits."""

    @property
    def in_flight(self) -> int:
        """Attempts under way in this worker."""

    def latency(self) -> float | None:
        """Seconds to the first token, of late; None: not known."""

    def quantile(self, q: float) -> float | None:
        """Of the seconds to the first token; None: too few are known."""

    def why_not(self, now: float) -> str | None:
        """Why it is not to be tried now, for people; None: it may be."""

    def opens(self) -> float:
        """When it may be tried again, in monotonic seconds; 0.0: now."""

    def begin(self) -> None:
        """An attempt is sent."""

    def first_token(self, seconds: float) -> None:
        """It began to answer."""

    def end(self, reason: str | None) -> None:
        """The attempt is over. `reason`: why it failed (verdicts.py); None: it did not, or nobody
        can say so because the caller left."""


class Unwatched:
    """For what is asked once in a while, and has no other that could take its place."""

    in_flight = 0

    def latency(self) -> float | None:
        """Not known."""
        return None

    def quantile(self, _q: float) -> float | None:
        """Not known."""
        return None

    def why_not(self, _now: float) -> str | None:
        """It may always be tried."""
        return None

    def opens(self) -> float:
        """Now."""
        return 0.0

    def begin(self) -> None:
        """Nobody counts."""

    def first_token(self, _seconds: float) -> None:
        """Nobody learns."""

    def end(self, _reason: str | None) -> None:
        """Nobody learns."""


UNWATCHED = Unwatched()
