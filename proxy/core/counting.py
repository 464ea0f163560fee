"""The port through which tokens are counted: of an answer whose vendor named none, and of a request
that a limit or a budget would refuse by the length of its text. `usage/tokens/` implements it.

Where usage came, `wants` says no and that is all that is done. Otherwise the end of the answer
waits for `count`, so that the record, which is written before the last byte leaves, has the tokens.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.core.exchange import Exchange


class Transcript(Protocol):
    """Keeps what a stream said, up to a limit."""

    def feed(self, data: bytes, /) -> None: ...

    def body(self) -> bytes | None:
        """All that was fed, or None when it was more than is kept."""


class TokenCounter(Protocol):
    """Counts tokens. Nothing here raises, and nothing blocks."""

    async def count_input(self, x: "Exchange", models: Sequence[str], /) -> int | None:
        """Tokens of input that the request has at most with any of these models, in bounded time;
        None where that cannot be said."""

    def listen(self, x: "Exchange", /) -> Transcript | None:
        """For a stream that begins: what shall see its bytes; None, as a rule, for nothing."""

    def wants(self, x: "Exchange", /) -> bool:
        """Whether the answer that has just ended came without usage and may be counted."""

    async def count(self, x: "Exchange", body: bytes, /) -> None:
        """Set `x.counted`, in bounded time, or leave it: then the estimate stays."""

    def close(self) -> None:
        """Let go of what counts. Idempotent; `count` then leaves everything as it is."""


class HeldBack:
    """A decoder that holds the last piece of an answer, and what comes after it."""

    __slots__ = ("_pieces",)

    def __init__(self, piece: bytes) -> None:
        self._pieces = [piece]

    def feed(self, data: bytes, /) -> bytes:
        """Nothing goes on."""
        self._pieces.append(data)
        return b""

    def finish(self) -> bytes:
        """Everything, in order."""
        return b"".join(self._pieces)


class NoCounter:
    """For `store: none`: what nobody records, nobody counts."""

    async def count_input(self, _x: "Exchange", _models: Sequence[str], /) -> int | None:
        """Nobody knows."""
        return None

    def listen(self, _x: "Exchange", /) -> Transcript | None:
        """Nothing is kept."""
        return None

    def wants(self, _x: "Exchange", /) -> bool:
        """Never."""
        return False

    async def count(self, _x: "Exchange", _body: bytes, /) -> None:
        """Nothing is counted."""

    def close(self) -> None:
        """There is nothing to let go of."""
