"""What the clients of the walls run saw: each answer judged by its bytes, and counted.

answered      200, whole (of a stream: up to `[DONE]`)
refused       429 `insufficient_quota`: a budget said no
cut           the vendor broke off, and the client was told
error         the vendor's own error
aborted       the client went in the middle
unavailable   503: Redis did not say in time whether the money is there
lost          no answer, or not all of it: the worker was killed
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from bench.faults_answers import Book, End
from bench.faults_client import Connection
from bench.faults_load import Load
from bench.faults_requests import Ask

_DONE = re.compile(rb"^data: \[DONE\]\r?\n", re.MULTILINE)
_CODE = re.compile(rb'"code":\s*"(\w+)"')
_VENDORS = {"error": 500, "busy": 429}


@dataclass(slots=True)
class WallBook(Book):
    """All of it. `negative`: answers that said that less than nothing was left."""

    counts: Counter[str] = field(default_factory=Counter)
    told: int = 0
    negative: int = 0

    def add(self, ask: Ask, request_id: str, status: int, body: bytes, *, whole: bool) -> None:
        """Judge one answer."""
        word = _word(ask, status, body, whole=whole and bool(request_id))
        self.counts[word] += 1
        self.ends["told"] += 1
        if word == "other":
            self.wrong[f"{status} {body[:120]!r}"] += 1

    def gave_up(self, request_id: str, end: End) -> None:
        self.counts["aborted" if end == "left" else "lost"] += 1
        self.ends[end] += 1

    def hear(self, left: bytes) -> None:
        """The proxy said how much is left of the tightest budget."""
        if left:
            self.told += 1
            self.negative += float(left) < 0


class WallLoad(Load):
    """A Load that hears what answers say of budgets."""

    def over(self, connection: Connection, *, whole: bool) -> None:
        book = self._book
        assert isinstance(book, WallBook)
        book.hear(connection.budget_left)
        super().over(connection, whole=whole)


def _word(ask: Ask, status: int, body: bytes, *, whole: bool) -> str:
    if status == 200 and ask.kind.stream and _DONE.search(body) is not None:
        return "answered"
    if not whole:
        return "lost"
    if status == 200:
        return "cut" if ask.kind.stream else "answered"
    found = _CODE.search(body)
    code = found[1] if found is not None else b""
    if status == 429 and code == b"insufficient_quota":
        return "refused"
    if status == 503 and b"cannot be counted" in body:
        return "unavailable"
    if status == 502 and ask.kind.order == "cut":
        return "cut"
    due = status == _VENDORS.get(ask.kind.order) or code == b"upstream_unreachable"
    return "error" if due else "other"
