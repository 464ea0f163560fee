"""A circuit breaker: when one target is left alone, and when it is tried again.

    closed     every attempt is let through; `failures` in a row open it
    open       none is, for `recovery` seconds
    half open  `probes` at once are; the first that begins to answer closes it, one that fails opens
               it again. Once closed it is on parole: the next failure opens it, a whole answer ends
               the parole

An attempt counts for the era in which it was sent; each opening begins a new one. So what was sent
before says nothing afterwards. Beside it stands a rest that the vendor asked for. Neither is ever
made shorter by a later one. Times are monotonic seconds.
"""

from typing import Literal

from proxy.core.policy import Breaker as Settings

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Of one target. `is_clear`: nothing at all speaks against it, which is the usual case."""

    __slots__ = ("_rest", "_until", "cause", "era", "faults", "is_clear", "probing", "settings")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.is_clear = True
        self.era = 0
        self.cause = ""  # What opened it, for people.
        self.probing = 0  # Attempts that were let through to see, and have not answered yet.
        self.faults = 0  # In a row.
        self._until: float | None = None  # None: closed.
        self._rest = 0.0

    def state(self, now: float) -> State:
        """How it stands."""
        if self._until is None:
            return "closed"
        return "open" if now < self._until else "half_open"

    def why_not(self, now: float) -> str | None:
        """Why nothing may be sent now, for people; None: one attempt may."""
        until = self._until
        if until is not None:
            if now < until:
                return f"its breaker is open for {_left(until, now)} ({self.cause})"
            if self.probing >= self.settings.probes:
                return "its breaker is half open, and it is being tried"
        if now < self._rest:
            return f"the vendor wants it left alone for {_left(self._rest, now)}"
        if until is None:
            self.is_clear = True  # A rest is over.
        return None

    def rests(self, now: float) -> bool:
        """Whether only a rest is in the way."""
        return self._until is None and now < self._rest

    def opens(self) -> float:
        """When something may be sent again."""
        return max(self._until or 0.0, self._rest)

    def begin(self) -> int:
        """An attempt is sent: its era."""
        if self._until is not None:
            self.probing += 1
        return self.era

    def answers(self, era: int) -> bool:
        """An attempt began to be answered. Whether that has closed the breaker."""
        if self._until is None or era != self.era:
            return False
        self.close()
        self.faults = self.settings.failures - 1
        return True

    def worked(self, era: int) -> None:
        """An attempt was answered in full."""
        if era == self.era and self._until is None:
            self.faults = 0

    def gave_way(self, era: int) -> None:
        """An attempt ended without a word on whether the target is well."""
        if self._until is not None and era == self.era and self.probing:
            self.probing -= 1

    def failed(self, era: int, now: float, cause: str) -> bool:
        """An attempt failed by the target's fault. Whether that has opened the breaker."""
        if era != self.era:
            return False
        if self._until is not None:
            self.gave_way(era)
            if now < self._until:
                return False
        else:
            self.faults += 1
            if self.faults < self.settings.failures:
                return False
            cause = f"{self.faults} failures in a row, the last: {cause}"
        self.open(now + self.settings.recovery, cause)
        return True

    def open(self, until: float, cause: str) -> None:
        """Let nothing through until then, or until later where that was said before."""
        self._until = max(self._until or 0.0, until)
        self.cause = cause
        self.era += 1
        self.probing = 0
        self.is_clear = False

    def close(self) -> None:
        """Let everything through, but for a rest."""
        self._until = None
        self.faults = 0
        self.probing = 0
        self.is_clear = self._rest == 0.0

    def try_now(self, now: float) -> None:
        """Somebody else has found it well: no more waiting, only trying."""
        if self._until is not None and self._until > now:
            self._until = now

    def rest(self, until: float) -> None:
        """Send nothing until then, or until later where that was said before."""
        self._rest = max(self._rest, until)
        self.is_clear = False


def _left(until: float, now: float) -> str:
    return f"{max(0.1, until - now):.1f} s"
