"""The port through which holds of money outlive the process that took them. `usage/` implements it.

What is kept of a hold is there from before the attempt is sent until its request has a record. Of a
process that was killed the rest becomes records, so that what was held is charged and told.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.core.attempt import Attempt
    from proxy.core.exchange import Exchange


class KeptHold(Protocol):
    """One hold that is kept."""

    def grew(self, money: int, output: int) -> None:
        """So much is held now, for so many tokens of output. Never raises."""

    def clear(self) -> None:
        """It is over: keep it no longer. A second call does nothing. Never raises."""


class HoldBook(Protocol):
    """Where holds are kept."""

    def keep(
        self, x: "Exchange", attempt: "Attempt", money: int, input: int, output: int
    ) -> KeptHold:
        """Keep the hold of the attempt that comes next: nano-USD, for tokens of input and output.
        From now on the time of the request's record is fixed (`x.at`). Never raises: what cannot be
        kept is told in the log."""
