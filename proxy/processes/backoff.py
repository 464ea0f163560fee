"""When a child that died is started again: at once, then ever later, until one has lived a while.

A crash by chance costs no time; a crash loop costs little work and few log lines.
"""

_FIRST = 0.1
_LONGEST = 5.0
_HEALTHY = 10.0


class Backoff:
    """The restart delays of one child's place."""

    def __init__(self) -> None:
        self._deaths = 0

    def after(self, lived: float) -> float:
        """Seconds to wait before the next start, after a child that lived `lived` seconds."""
        if lived >= _HEALTHY:
            self._deaths = 0
        self._deaths += 1
        if self._deaths == 1:
            return 0.0
        # The exponent is bounded: a child that crashes for weeks must not overflow a float.
        return min(_LONGEST, _FIRST * 2.0 ** min(self._deaths - 2, 16))
