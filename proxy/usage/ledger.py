"""From an exchange that has ended to its line in the spool: the worker's side of accounting.

Synchronous and without a wait, so that no cancellation can skip it: the record is made from what
the exchange already knows, priced from tables in memory, and written with one `write`.
"""

from proxy.base.errors import Unrecordable
from proxy.core.exchange import Exchange
from proxy.usage.pricer import Pricer
from proxy.usage.recording import Identity, record_of_exchange
from proxy.usage.spool import Spool
from proxy.wire.record import line_of


class SpoolLedger:
    """Writes one record for each exchange."""

    def __init__(
        self, spool: Spool, pricer: Pricer, identity: Identity, *, refuse_when_failing: bool
    ) -> None:
        self._spool = spool
        self._pricer = pricer
        self._identity = identity
        self._refuse = refuse_when_failing

    def admit(self) -> None:
        """Raises Unrecordable while the spool cannot be written, if that is the policy."""
        if self._refuse and self._spool.failing:
            raise Unrecordable("no usage record can be written now, so nothing is served")

    def settle(self, x: Exchange, /) -> None:
        """Write the record."""
        self._spool.append(line_of(record_of_exchange(x, self._identity, self._pricer)))


class NoLedger:
    """For `store: none`: the operator wants no records."""

    def admit(self) -> None:
        """Nothing can stand in the way."""

    def settle(self, _x: Exchange, /) -> None:
        """Nothing is written."""
