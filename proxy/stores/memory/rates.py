"""The request and token limits of a quota that share a window's length: checked and taken together.

One plain loop for each measure, over counts and their limits, takes, notes what there is then, and
sees which limit is the tightest: what is told with every answer costs no loop of its own. It is
undone where anything refuses: that is rare, and dear anyway. A limit that is not hard is infinite.

Windows go on with their ticker alone. So whoever had all of them at its bucket knows, as long as
that is the bucket, that they are there still.
"""

from collections.abc import Iterator

from proxy.stores.memory.windows import Ticker, Window

Limited = tuple[Window, float, float, int]
"""A count, where it refuses, by what to multiply it for the part that is used, and the limit as it
is told. Of a limit of 0 all is used at any time."""

Told = tuple[int, int, int, int]
"""The tightest limit on requests and what is taken of it, and the same of tokens; -1: no limit."""


class Rates:
    """Windows of one length."""

    __slots__ = ("_head", "noted", "requests", "ticker", "tokens", "told")

    def __init__(
        self, ticker: Ticker, requests: tuple[Limited, ...], tokens: tuple[Limited, ...]
    ) -> None:
        self.ticker = ticker
        self.requests = requests
        self.tokens = tokens
        self.noted = 1 + len(requests) + len(tokens)  # Numbers that a take notes.
        self._head = -1  # The bucket where all windows were.
        self.told: Told = -1, 0, -1, 0  # At the last take.

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
        of = of_tokens = -1
        used = used_tokens = 0
        most = -1.0
        for window, limit, share, told in self.requests:
            window.total = total = window.total + 1
            if total > limit:
                fits = False
            note(total)
            if (part := total * share) > most:
                most, of, used = part, told, total
        most = -1.0
        for window, limit, share, told in self.tokens:
            window.total = total = window.total + tokens
            if total > limit and tokens:
                fits = False
            note(total)
            if (part := total * share) > most:
                most, of_tokens, used_tokens = part, told, total
        self.told = of, used, of_tokens, used_tokens
        return fits

    def _advance(self, bucket: int) -> None:
        for window in self.windows():
            if window.head != bucket:
                window.advance(bucket)
        self._head = bucket

    def change(self, bucket: int, requests: int, tokens: int) -> None:
        """So many more, or fewer, than were taken in a bucket."""
        if requests:
            for window, _, _, _ in self.requests:
                window.change(bucket, requests)
        if tokens:
            if self.ticker.bucket == bucket:
                for window, _, _, _ in self.tokens:
                    window.total += tokens
            else:
                for window, _, _, _ in self.tokens:
                    window.change(bucket, tokens)

    def windows(self) -> Iterator[Window]:
        """In the order in which totals are noted."""
        for limited in (*self.requests, *self.tokens):
            yield limited[0]
