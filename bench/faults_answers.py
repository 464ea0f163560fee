"""What came back, sans I/O: each answer of the fault run judged by its bytes, and all of them kept.

An answer is owed a record when its client can take it for an answer:

    whole   200, to its end: the length that was promised, or of a stream `[DONE]`
    told    an error, whole: the client knows that it failed
    ended   a stream that ended without `[DONE]`: the client knows that it was cut

All else (`broken`: not to its end; `unanswered`: no head; `left`: the client went; `silent`) may
have a record or none: its client knows nothing.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from bench.faults_requests import Ask, Used, key_name
from proxy.base.jsonio import JSONError, loads

End = Literal["whole", "told", "ended", "broken", "unanswered", "left", "silent"]
OWED: frozenset[End] = frozenset(("whole", "told", "ended"))

_DONE = re.compile(rb"^data: \[DONE\]\r?\n", re.MULTILINE)
_NUMBER = re.compile(rb'"content":\s*"(\d{6}) "')


@dataclass(frozen=True, slots=True)
class Answer:
    """One that is owed a record, with what the record must say. `cost`: None where the client
    cannot know it."""

    key: str
    status: int
    end: End
    cost: int | None
    used: Used | None


@dataclass(slots=True)
class Book:
    """All that clients saw. `wrong`: answers that were not as ordered, by what was wrong."""

    sent: int = 0
    ends: Counter[End] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    unconnected: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    seen: dict[str, End] = field(default_factory=dict)
    """Ids of what is owed no record."""

    @property
    def finished(self) -> int:
        """Requests that are over, however."""
        return self.ends.total()

    def add(self, ask: Ask, request_id: str, status: int, body: bytes, *, whole: bool) -> None:
        """Judge one answer. `request_id`: empty when no head came; `whole`: HTTP says so."""
        end = _end(ask, request_id, status, body, whole=whole)
        self.ends[end] += 1
        if end not in OWED:
            self.note(request_id, end)
            return
        if request_id in self.answers or not request_id:
            self.wrong["no id, or one that was another's"] += 1
            return
        wrong, used = _compare(ask, status, end, body)
        if wrong is not None:
            self.wrong[wrong] += 1
        cost = used.cost() if used is not None else None
        self.answers[request_id] = Answer(key_name(ask.key), status, end, cost, used)

    def gave_up(self, request_id: str, end: End) -> None:
        """The client went, or waited for too long."""
        self.ends[end] += 1
        self.note(request_id, end)

    def note(self, request_id: str, end: End) -> None:
        if request_id:
            self.seen[request_id] = end


def _end(ask: Ask, request_id: str, status: int, body: bytes, *, whole: bool) -> End:
    if not request_id:
        return "told" if whole else "unanswered"
    if status == 200 and ask.kind.stream and _DONE.search(body) is not None:
        return "whole"  # Whatever happens to the connection behind it.
    if not whole:
        return "broken"
    if status != 200:
        return "told"
    return "ended" if ask.kind.stream else "whole"


def _compare(ask: Ask, status: int, end: End, body: bytes) -> tuple[str | None, Used | None]:
    """What is wrong with an answer, and what the client knows that it used."""
    due = {"error": 500, "busy": 429}.get(ask.kind.order)
    if due is None and ask.kind.order == "cut":
        due = 200 if ask.kind.stream else 502
    due = due or 200
    if status != due:
        return f"status {status} instead of {due}", None
    if end == "whole" and ask.kind.order == "cut":
        return "a cut answer looks whole", None
    if end == "ended" and ask.kind.order != "cut":
        return "a good stream ended early", None
    if ask.kind.stream and not _in_order(body):
        return "chunks are missing or out of order", None
    if end != "whole" or ask.used is None:
        return None, None
    shown = _shown(body, stream=ask.kind.stream)
    if shown != (ask.used if ask.kind.shows else None):
        return "usage is not what was ordered", shown
    return None, ask.used


def _in_order(body: bytes) -> bool:
    numbers = [int(number) for number in _NUMBER.findall(body)]
    return numbers == list(range(len(numbers)))


def _shown(body: bytes, *, stream: bool) -> Used | None:
    """The usage that an answer shows."""
    pieces = [line[6:] for line in body.split(b"\n") if line[:6] == b"data: "] if stream else [body]
    for piece in reversed(pieces):
        if b'"usage":{' in piece:
            try:
                usage = loads(piece)["usage"]
                return Used(
                    usage["prompt_tokens"],
                    usage["completion_tokens"],
                    usage["prompt_tokens_details"]["cached_tokens"],
                    usage["completion_tokens_details"]["reasoning_tokens"],
                )
            except (JSONError, KeyError, TypeError):
                return None
    return None
