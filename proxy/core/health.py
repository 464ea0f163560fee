"""What this worker knows of one target: whether it answers, how fast, and how busy it is.

`routing/` implements it, one for each target of a model; it outlives a reload of the configuration.
What `begin` returns goes back with what became of the attempt, so that one that was sent before a
target failed says nothing of whether it has recovered since.
"""

from typing import Protocol

LEFT = "left"
"""The reason of an attempt that was given up before it answered, by whoever had asked."""


class Health(Protocol):
    """Of one target. Nothing here raises or waits."""

    @property
    def in_flight(self) -> int:
        """Attempts under way in this worker."""

    @property
    def barred(self) -> str | None:
        """Why it must not be asked, not even as the last resort: an operator said so. For people;
        None: nobody did."""

    def latency(self) -> float | None:
        """Seconds to the first token, of late; None: not known."""

    def quantile(self, q: float) -> float | None:
        """Of the seconds to the first token; None: too few are known."""

    def why_not(self, now: float) -> str | None:
        """Why it is not to be tried now, for people; None: it may be."""

    def rests(self, now: float) -> bool:
        """Whether nothing speaks against it but that its vendor wants it left alone: who has no
        other target may ask it, to be told so by the vendor itself."""

    def opens(self) -> float:
        """When it may be tried again, in monotonic seconds; 0.0: now."""

    def named(self, model: str) -> "Health":
        """That of a model, where this one is of a pattern."""

    def begin(self) -> int:
        """An attempt is sent."""

    def first_token(self, seconds: float, began: int) -> None:
        """It began to answer."""

    def end(self, reason: str | None, began: int) -> None:
        """The attempt is over. `reason`: why it failed (verdicts.py) or LEFT; None: it did not."""

    def rest(self, seconds: float) -> None:
        """The vendor wants it left alone for so long."""


class Unwatched:
    """For what is asked once in a while, and has no other that could take its place."""

    in_flight = 0
    barred = None

    def latency(self) -> float | None:
        """Not known."""
        return None

    def quantile(self, _q: float) -> float | None:
        """Not known."""
        return None

    def why_not(self, _now: float) -> str | None:
        """It may always be tried."""
        return None

    def rests(self, _now: float) -> bool:
        """Never."""
        return False

    def opens(self) -> float:
        """Now."""
        return 0.0

    def named(self, _model: str) -> Health:
        """Nor that one."""
        return self

    def begin(self) -> int:
        """Nobody counts."""
        return 0

    def first_token(self, _seconds: float, _began: int) -> None:
        """Nobody learns."""

    def end(self, _reason: str | None, _began: int) -> None:
        """Nobody learns."""

    def rest(self, _seconds: float) -> None:
        """Nobody keeps to it."""


UNWATCHED = Unwatched()
