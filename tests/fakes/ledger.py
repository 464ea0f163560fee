"""A ledger in memory."""

from proxy.base.errors import Unrecordable
from proxy.core.exchange import Exchange


class FakeLedger:
    """Remembers which exchanges were settled; refuses all when told to."""

    def __init__(self) -> None:
        self.settled: list[Exchange] = []
        self.refuses = False

    def admit(self) -> None:
        if self.refuses:
            raise Unrecordable("told to refuse")

    def settle(self, x: Exchange, /) -> None:
        self.settled.append(x)
