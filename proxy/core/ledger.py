"""The port through which a request is accounted for. `usage/` implements it."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.core.exchange import Exchange


class Ledger(Protocol):
    """Where every request leaves one record."""

    def admit(self) -> None:
        """Raises Unrecordable where a request that could not be recorded must not begin."""

    def settle(self, x: "Exchange", /) -> None:
        """Write the record of a request that has come to its end. Never raises; never waits."""
