"""A request's place in a distributed trace (https://www.w3.org/TR/trace-context/).

With `spans` the proxy takes part: it has a span of its own and one for each attempt, and vendors
see the attempt's as their parent. Without, the caller's context passes on as it came.
"""

from dataclasses import dataclass
from random import getrandbits

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """Ids are lower-case hex: 32 digits of the trace, 16 of a span."""

    trace: str | None = None
    parent: str | None = None  # The caller's span.
    span: str | None = None  # Ours.
    flags: str = "01"
    given: Fields = ()  # The caller's own fields.

    @property
    def sampled(self) -> bool:
        return int(self.flags, 16) & 1 == 1

    def fields(self, attempt: str | None) -> Fields:
        """What the vendor is sent; `attempt` is the span of this try."""
        if attempt is None:
            return self.given
        parent = f"00-{self.trace}-{attempt}-{self.flags}"
        return ((b"traceparent", parent.encode("ascii")), *self.given[1:])


NOT_TRACED = Trace()


def new_span() -> str:
    """A random span id, never all zeros. Nobody is to be kept from guessing it, so no call to the
    system is made for it (as OpenTelemetry's own generators do)."""
    return f"{getrandbits(64) or 1:016x}"


def new_trace() -> str:
    """A random trace id."""
    return f"{getrandbits(128) or 1:032x}"
