"""From an exchange that has ended to its line in the spool: the worker's side of accounting.

Synchronous and without a wait, so that no cancellation can skip it: the record is made from what
the exchange already knows, priced from tables in memory, and put into the spool at once.
"""

from proxy.base.errors import Unrecordable
from proxy.core.exchange import Exchange
from proxy.usage.discreet import DiscreetLines
from proxy.usage.lines import Lines
from proxy.usage.pricer import Pricer
from proxy.usage.recording import Identity
from proxy.usage.spool import Spool


class SpoolLedger:
    """Writes one record for each exchange."""

    def __init__(
        self,
        spool: Spool,
        pricer: Pricer,
        identity: Identity,
        *,
        refuse_when_failing: bool,
        discreet: bool = False,
    ) -> None:
        """`discreet`: without what requests say of themselves."""
        self._spool = spool
        self._lines = (DiscreetLines if discreet else Lines)(identity, pricer)
        self._refuse = refuse_when_failing

    def admit(self) -> None:
        """Raises Unrecordable while the spool cannot be written, if that is the policy."""
        if self._refuse and self._spool.failing:
            raise Unrecordable("no usage record can be written now, so nothing is served")

    def settle(self, x: Exchange, /) -> None:
        """Write the record."""
        self._spool.append(self._lines.of(x))


class NoLedger:
    """For `store: none`: the operator wants no records."""

    def admit(self) -> None:
        """Nothing can stand in the way."""

    def settle(self, _x: Exchange, /) -> None:
        """Nothing is written."""


class UnwrittenLedger(NoLedger):
    """For `store: none` with limits or budgets: what attempts used and cost is found out for them,
    and written nowhere."""

    def __init__(self, pricer: Pricer) -> None:
        self._lines = Lines(Identity(""), pricer)

    def settle(self, x: Exchange, /) -> None:
        """Fill in the usage and the cost of every attempt."""
        self._lines.of(x)
