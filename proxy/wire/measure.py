"""How much an answer used: as the vendor says, else as far as the answer itself shows.

Text without usage is estimated by its bytes. Pictures can be counted. What else was used for
pictures and sound only the vendor knows: bytes of a recording say nothing about its price, so such
usage is `unmeasured`, which no price covers but one per request. Unknown is never nothing.
"""

from proxy.wire.operations import Medium, Operation
from proxy.wire.record import Usage, UsageSource
from proxy.wire.tail import Tail
from proxy.wire.usage import DetailedUsage, estimate, read_usage, with_pictures

_UNMEASURED = DetailedUsage(unmeasured=1)


def is_billed(operation: Operation) -> bool:
    """Whether its answers cost something that a vendor could tell, or keep to itself."""
    return operation.has_usage or operation.medium is not Medium.TEXT


def reported(tail: Tail) -> Usage | None:
    """What the vendor says, or None when it says nothing credible."""
    text = tail.usage()
    usage = read_usage(text) if text is not None else None
    if usage is None or not tail.pictures:
        return usage
    return with_pictures(usage, tail.pictures)


def assumed(medium: Medium, bytes_in: int, tail: Tail | None = None) -> tuple[Usage, UsageSource]:
    """What is taken to have been used where the vendor says nothing. Without a tail: by a request
    that was read and never answered."""
    if medium is Medium.TEXT:
        return estimate(bytes_in, tail.text_bytes() if tail is not None else 0), "estimated"
    if tail is not None and tail.pictures:
        return Usage(images=tail.pictures), "counted"
    return _UNMEASURED, "estimated"
