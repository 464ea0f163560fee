"""Records for `telemetry.content: none`: nothing in them was chosen by the caller for this request.

What stays is numbers, and names that the operator wrote (or, of a token, its issuer): key, team,
user, project, the key's own agent and tags, models as they are configured. Customer, agent, session
and tags of the request, and models that only a pattern took, are gone before a line is written. The
model that a vendor was sent stays, as that is what is paid for.
"""

from msgspec.structs import replace

from proxy.core.exchange import Exchange
from proxy.usage.pricer import Pricer
from proxy.usage.recording import Identity, Moment, record_of_exchange
from proxy.wire.record import UsageRecord, line_of


class DiscreetLines:
    """Makes lines, as `Lines` does."""

    __slots__ = ("_identity", "_pricer")

    def __init__(self, identity: Identity, pricer: Pricer) -> None:
        self._identity = identity
        self._pricer = pricer

    def of(self, x: Exchange, ended: Moment | None = None) -> bytes:
        """The line of an exchange that ends now, or ended then."""
        return line_of(discreet(record_of_exchange(x, self._identity, self._pricer, ended), x))


def discreet(record: UsageRecord, x: Exchange) -> UsageRecord:
    """The record without what the request says of itself."""
    caller = x.caller
    return replace(
        record,
        customer=None,
        session=None,
        agent=caller.agent,
        tags=caller.tags,
        model=record.route,
        content=None,
    )
