"""The request and token limits of a quota that share a window's length: checked and taken together.

One plain loop for each measure, over pairs of a count and its limit, takes and notes what there is
then. It is undone where anything refuses: that is rare, and dear anyway. A limit that is not hard
is infinite here.

Windows go on with their ticker alone. So whoever had all of them at its bucket knows, as long as
that is the bucket, that they are there still.
"""

from collections.abc import Iterator

from proxy.stores.memory.windows import Ticker, Window

Limited = tuple[Window, float]


class Rates:
    """Windows of one length."""

    __slots__ = ("_head", "noted", "requests", "ticker", "tokens")

    def __init__(
        self, ticker: Ticker, requests: tuple[Limited, ...], tokens: tuple[Limited, ...]
    ) -> None:
        self.ticker = ticker
        self.requests = requests
        self.tokens = tokens
        self.noted = 1 + len(requests) + len(tokens)  # Numbers that a take notes.
        self._head = -1  # The bucket where all windows were.

    def take(self, tokens: int, now: float, seen: list[int]) -> bool:
        """Take one request and so many tokens. Notes the bucket and each total. Whether all fits;
        where it does not, `change` it back."""
        ticker = self.ticker
        if now >= ticker.end:
            ticker.move(now)
        bucket = ticker.bucket
        if bucket != self._head:
            self._advance(bucket)
        note = seen.append
        note(bucket)
        fits = True
        for window, limit in self.requests:
            window.total = total = window.total + 1
            if total > limit:
                fits = False
            note(total)
        for window, limit in self.tokens:
            window.total = total = window.total + tokens
            if total > limit and tokens:
                fits = False
            note(total)
        return fits

    def _advance(self, bucket: int) -> None:
        for window in self.windows():
            if window.head != bucket:
                window.advance(bucket)
        self._head = bucket

    def change(self, bucket: int, requests: int, tokens: int) -> None:
        """So many more, or fewer, than were taken in a bucket."""
        if requests:
            for window, _ in self.requests:
                window.change(bucket, requests)
        if tokens:
            if self.ticker.bucket == bucket:
                for window, _ in self.tokens:
                    window.total += tokens
            else:
                for window, _ in self.tokens:
                    window.change(bucket, tokens)

    def windows(self) -> Iterator[Window]:
        """In the order in which totals are noted."""
        for window, _ in (*self.requests, *self.tokens):
            yield window
