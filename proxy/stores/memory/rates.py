"""The request and token limits of a quota that share a window's length: checked and taken together.

One plain loop for each measure, over pairs of a count and its limit, takes and notes what there is
then. It is undone where anything refuses: that is rare, and dear anyway. A limit that is not hard
is infinite here.
"""

from collections.abc import Iterator

from proxy.stores.memory.windows import Ticker, Window

Limited = tuple[Window, float]


class Rates:
    """Windows of one length."""

    __slots__ = ("noted", "requests", "ticker", "tokens")

    def __init__(
        self, ticker: Ticker, requests: tuple[Limited, ...], tokens: tuple[Limited, ...]
    ) -> None:
        self.ticker = ticker
        self.requests = requests
        self.tokens = tokens
        self.noted = 1 + len(requests) + len(tokens)  # Numbers that a take notes.

    def take(self, tokens: int, now: float, seen: list[int]) -> bool:
        """Take one request and so many tokens. Notes the bucket and each total. Whether all fits;
        where it does not, `change` it back."""
        ticker = self.ticker
        if now >= ticker.end:
            ticker.move(now)
        bucket = ticker.bucket
        seen.append(bucket)
        fits = True
        for window, limit in self.requests:
            if window.head != bucket:
                window.advance(bucket)
            window.total = total = window.total + 1
            if total > limit:
                fits = False
            seen.append(total)
        for window, limit in self.tokens:
            if window.head != bucket:
                window.advance(bucket)
            window.total = total = window.total + tokens
            if total > limit and tokens:
                fits = False
            seen.append(total)
        return fits

    def change(self, bucket: int, requests: int, tokens: int) -> None:
        """So many more, or fewer, than were taken in a bucket."""
        if requests:
            for window, _ in self.requests:
                window.change(bucket, requests)
        for window, _ in self.tokens:
            if window.head == bucket:
                window.total += tokens
            else:
                window.change(bucket, tokens)

    def windows(self) -> Iterator[Window]:
        """In the order in which totals are noted."""
        for window, _ in (*self.requests, *self.tokens):
            yield window
