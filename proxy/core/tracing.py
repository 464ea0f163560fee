"""A request's place in a distributed trace (https://www.w3.org/TR/trace-context/).

With `spans` the proxy takes part: it has a span of its own and one for each attempt, and vendors
see the attempt's as their parent. Without, the caller's context passes on as it came.
"""

from random import getrandbits
from typing import Final, NamedTuple

_NONE: Final = "0" * 16  # No id may be all zeros.

Fields = tuple[tuple[bytes, bytes], ...]


class Trace(NamedTuple):
    """Ids are lower-case hex: 32 digits of the trace, 16 of a span."""

    trace: str | None = None
    parent: str | None = None  # The caller's span.
    span: str | None = None  # Ours.
    flags: str = "01"
    given: Fields = ()  # The caller's own fields.
    first: str | None = None  # The span of the first attempt.

    @property
    def sampled(self) -> bool:
        return int(self.flags, 16) & 1 == 1

    def fields(self, attempt: str | None) -> Fields:
        """What the vendor is sent; `attempt` is the span of this try."""
        if attempt is None:
            return self.given
        parent = f"00-{self.trace}-{attempt}-{self.flags}"
        return ((b"traceparent", parent.encode("ascii")), *self.given[1:])


NOT_TRACED: Final = Trace()


def begun() -> Trace:
    """A trace that begins here, for one draw of a random number: nearly every request has one
    attempt. Nobody is to be kept from guessing ids, so no call to the system is made for them (as
    OpenTelemetry's own generators do)."""
    ids = "%064x" % getrandbits(256)  # noqa: UP031 - A format specification takes twice as long.
    if _NONE in ids:  # As good as never.
        return begun()
    # As `Trace(...)`, in a third of the time.
    return tuple.__new__(Trace, (ids[:32], None, ids[32:48], "01", (), ids[48:]))


def new_span() -> str:
    """A random span id."""
    return f"{getrandbits(64) or 1:016x}"
