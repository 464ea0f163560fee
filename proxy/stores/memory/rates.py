"""The request and token limits of a quota that share a window's length: checked and taken together.

One plain loop for each measure takes from all counts and sees which limit is the tightest: what is
told with every answer costs no loop of its own. Only where that one
is nearly used up is each count compared with its limit, exactly: else none can be passed. All is
undone where anything refuses: that is rare, and dear anyway. What is not hard has no limit, None.

Windows go on with their ticker alone. So whoever had all of them at its bucket knows, as long as
that is the bucket, that they are there still.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from proxy.stores.memory.windows import Limited, Ticker, Window

NEAR: Final = 0.999
"""The part of a limit from which on it is looked at closely: what rounding does is far less."""

Told = tuple[int, int, int, int]
"""The tightest limit on requests and what is taken of it, and the same of tokens; -1: no limit."""


class Rates:
    """Windows of one length."""

    __slots__ = (
        "_request_limits", "_token_limits", "bucket", "noted", "requests", "ticker", "tokens",
        "told",
    )  # fmt: skip

    def __init__(
        self,
        ticker: Ticker,
        requests: Sequence[tuple[Limited, int | None]],
        tokens: Sequence[tuple[Limited, int | None]],
    ) -> None:
        """Each with where it refuses."""
        self.ticker = ticker
        self.requests = tuple(limited for limited, _ in requests)
        self.tokens = tuple(limited for limited, _ in tokens)
        self._request_limits = tuple(limit for _, limit in requests)
        self._token_limits = tuple(limit for _, limit in tokens)
        self.noted = 1 + len(requests) + len(tokens)  # How many numbers `note` adds.
        self.bucket = -1  # Where all windows were at the last take.
        self.told: Told = -1, 0, -1, 0  # At the last take.

    def take(self, tokens: int, now: float) -> bool:
        """Take one request and so many tokens. Whether all fits; where it does not, `change` it
        back."""
        ticker = self.ticker
        if now >= ticker.end:
            ticker.move(now)
        bucket = ticker.bucket
        if bucket != self.bucket:
            self._advance(bucket)
        of = of_tokens = -1
        used = used_tokens = 0
        most = -1.0
        for window, share, told in self.requests:
            window.total = total = window.total + 1
            if (part := total * share) > most:
                most, of, used = part, told, total
        fits = most < NEAR or _below(self.requests, self._request_limits)
        most = -1.0
        for window, share, told in self.tokens:
            window.total = total = window.total + tokens
            if (part := total * share) > most:
                most, of_tokens, used_tokens = part, told, total
        self.told = of, used, of_tokens, used_tokens
        if most < NEAR or not tokens:
            return fits
        return fits and _below(self.tokens, self._token_limits)

    def _advance(self, bucket: int) -> None:
        for window in self.windows():
            if window.head != bucket:
                window.advance(bucket)
        self.bucket = bucket

    def note(self, seen: list[int]) -> None:
        """Add the bucket and each total, as they are right after a take."""
        seen.append(self.bucket)
        seen += [window.total for window in self.windows()]

    def change(self, bucket: int, requests: int, tokens: int) -> None:
        """So many more, or fewer, than were taken in a bucket."""
        if requests:
            for window, _, _ in self.requests:
                window.change(bucket, requests)
        if tokens:
            if self.ticker.bucket == bucket:
                for window, _, _ in self.tokens:
                    window.total += tokens
            else:
                for window, _, _ in self.tokens:
                    window.change(bucket, tokens)

    def windows(self) -> Iterator[Window]:
        """In the order in which totals are noted."""
        for limited in (*self.requests, *self.tokens):
            yield limited[0]


def _below(every: tuple[Limited, ...], limits: tuple[int | None, ...]) -> bool:
    """Whether no limit is passed."""
    for (window, _, _), limit in zip(every, limits, strict=True):
        if limit is not None and window.total > limit:
            return False
    return True
