"""What of an answer's stream a caller already has, so that another vendor may finish it.

    sent = Sent(); x.watch(sent.feed); ...; if sent.can_continue: sent.text, sent.id, ...

While bytes pass they are only kept, up to `LONGEST`; they are read when somebody asks, once. An
answer can be continued when it is one choice of plain text whose end was not told: tool calls,
refusals, reasoning, sound, probabilities and events that cannot be read are nothing that a second
vendor could carry on.
"""

import re
from typing import Any, Final

from proxy.base.jsonio import JSONError, dumps, loads
from proxy.wire.sse import split

LONGEST: Final = 1024 * 1024

_DATA = re.compile(rb"^data:[ ]?(.*?)\r?$", re.MULTILINE)
_TEXT_FIELDS = frozenset(("role", "content"))
_NO_TEXT = ("logprobs", "message", "text")  # Of a choice; vendors add much that is harmless.


class Sent:
    """The beginning of a stream of chat completion chunks."""

    __slots__ = (
        "_choices",
        "_pieces",
        "_size",
        "_words",
        "created",
        "finished",
        "id",
        "model",
        "only_text",
        "overflow",
        "role",
    )

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._words: list[str] = []
        self._choices: set[int] = set()
        self.overflow = False
        self.id: str | None = None  # Of the first chunk, as are:
        self.created: int | None = None
        self.model: str | None = None
        self.role = False  # Whether a role was sent.
        self.finished = False  # Whether a finish reason, `[DONE]` or an error was sent.
        self.only_text = True

    def feed(self, data: bytes) -> None:
        """Whole events, as they go to the caller."""
        if self.overflow:
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > LONGEST:
            self.overflow = True
            self._pieces.clear()

    @property
    def can_continue(self) -> bool:
        """Whether another vendor can carry on where this one stopped."""
        if self.overflow:
            return False
        self.read()
        return self.only_text and not self.finished and self._choices <= {0}

    @property
    def choices(self) -> int:
        """How many choices were begun."""
        self.read()
        return len(self._choices)

    @property
    def text(self) -> str:
        """What the caller has read so far."""
        self.read()
        if len(self._words) > 1:
            self._words = ["".join(self._words)]
        return self._words[0] if self._words else ""

    @property
    def prefill(self) -> str:
        """What the next vendor gets as the beginning of its answer: vendors refuse one that ends in
        white space (Anthropic), and tokenizers do worse with it."""
        return self.text.rstrip()

    def read(self) -> None:
        """Read what has come since the last time: only then are the plain attributes up to date."""
        pieces, self._pieces = self._pieces, []
        if pieces:
            for event in split(b"".join(pieces)):
                data = data_of(event)
                if data is not None:
                    self._take(data)

    def _take(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.finished = True
            return
        chunk = object_of(data)
        if chunk is None:
            self.only_text = False  # Nobody knows what the caller made of it.
            return
        if chunk.get("error"):
            self.finished = True
        self._introduce(chunk)
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._take_choice(choice)
            else:
                self.only_text = False

    def _introduce(self, chunk: dict[str, Any]) -> None:
        if self.id is None and isinstance(chunk.get("id"), str) and chunk["id"]:
            self.id = chunk["id"]
            self.created = chunk["created"] if isinstance(chunk.get("created"), int) else None
            self.model = chunk["model"] if isinstance(chunk.get("model"), str) else None

    def _take_choice(self, choice: dict[str, Any]) -> None:
        index = choice.get("index", 0)
        self._choices.add(index if isinstance(index, int) else -1)
        if choice.get("finish_reason"):
            self.finished = True
        if any(choice.get(name) for name in _NO_TEXT):
            self.only_text = False
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            self.only_text = self.only_text and delta is None
            return
        self.role = self.role or bool(delta.get("role"))
        if says_more(delta):
            self.only_text = False
        content = delta.get("content")
        if isinstance(content, str):
            if content:
                self._words.append(content)
        elif content is not None:
            self.only_text = False


def said_again(sent: Sent) -> bytes:
    """All that was sent as one event: what a vendor that is asked anew says before it goes on."""
    return b"data: " + dumps({"choices": [{"index": 0, "delta": {"content": sent.text}}]}) + b"\n\n"


def says_more(delta: dict[str, Any]) -> bool:
    """Whether a delta says anything besides text."""
    return any(value for name, value in delta.items() if name not in _TEXT_FIELDS)


def data_of(event: bytes) -> bytes | None:
    """The data of an event, or None for a comment and the like."""
    if event.startswith(b"data: ") and event.find(b"\n", 0, -2) < 0 and b"\r" not in event:
        return event[6:-2] if event.endswith(b"\n\n") else event[6:].rstrip(b"\n")
    lines = _DATA.findall(event.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    return b"\n".join(lines) if lines else None


def object_of(data: bytes) -> dict[str, Any] | None:
    """The JSON object of an event, or None where it is none."""
    try:
        found = loads(data)
    except JSONError:
        return None
    return found if isinstance(found, dict) else None
