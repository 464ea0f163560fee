"""How long to wait before the same target is asked again, and for how many requests that may be."""

import random
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from proxy.base.clock import monotonic, wall
from proxy.base.errors import HeaderPairs

if TYPE_CHECKING:
    from proxy.core.policy import Retry

_AT_ONCE = 10.0


class Allowance:
    """Lets something extra be done for a share of all requests, and for a few at once: a vendor in
    trouble gets 1.1 times its load and not three times (Google SRE book, "Handling Overload")."""

    __slots__ = ("_left", "_most", "is_full", "share")

    def __init__(self, share: float, at_once: float = _AT_ONCE) -> None:
        self.share = share
        self._left = self._most = at_once if share else 0.0
        self.is_full = True  # Nothing more can be earned.

    def earn(self) -> None:
        """A request has begun."""
        if self._left < self._most:
            self._left += self.share
        self.is_full = self._left >= self._most

    def spend(self) -> bool:
        """Whether it may be done once more."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        self.is_full = False
        return True


def pause(retry: "Retry", tries: int, headers: HeaderPairs) -> float | None:
    """Seconds to wait after so many tries: what the vendor asks for, else exponential with full
    jitter. None: the vendor asks for more than `retry.longest`."""
    asked = retry_after(headers)
    if asked is not None:
        return asked if asked <= retry.longest else None
    return random.random() * min(retry.longest, retry.initial * 2.0 ** (tries - 1))


def retry_after(headers: HeaderPairs) -> float | None:
    """Seconds that a vendor asks to wait (RFC 9110 §10.2.3; `retry-after-ms` as OpenAI's SDKs know
    it), never negative; None: it does not say so in a way that can be read."""
    said = {name.lower(): value for name, value in headers}
    try:
        if (exact := said.get(b"retry-after-ms")) is not None:
            return max(0.0, float(exact) / 1000)
        if (text := said.get(b"retry-after")) is None:
            return None
        if text.strip().isdigit():
            return float(text)
        return max(0.0, parsedate_to_datetime(text.decode("ascii")).timestamp() - wall())
    except (ValueError, OverflowError):  # The latter of dates that no calendar has.
        return None


def within(deadline: float, seconds: float) -> bool:
    """Whether so long a wait ends before the deadline, in monotonic seconds."""
    return monotonic() + seconds < deadline
