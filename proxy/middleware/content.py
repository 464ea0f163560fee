"""What was asked and answered, kept in the record: only with `telemetry.content: full`.

The prompt is read when the request ends, as it was sent on: after the guardrails, which may have
changed it. The answer is heard as the caller gets it: JSON and text by reference up to `_HOLD`, of
a stream its words. Text is taken out here and not in control: so the spool has 64 KiB of words at
most in place of a megabyte of frames, and no base64. `wire/content.py` says what counts as text.

It listens as a filter that changes nothing: the record is written before the last piece goes out,
and so before a watcher would see it.
"""

from proxy.core.exchange import Decoder, Exchange
from proxy.core.reply import Reply
from proxy.core.upload import FormUpload, StreamUpload
from proxy.wire.body import Body
from proxy.wire.content import answer, keeps_text, media, prompt
from proxy.wire.headers import value
from proxy.wire.operations import Operation
from proxy.wire.record import Content
from proxy.wire.spoken import Spoken

_HOLD = 1024 * 1024  # The relay holds as much of a JSON answer itself.


def content(x: Exchange) -> Reply | None:
    """Have what is said kept when the request ends. What names no model passes unread."""
    if x.operation.has_model:
        heard = Heard(x.operation, x.filters)
        x.on_reply(heard.begin)
        x.at_end(heard.keep)
    return None


class Heard:
    """The answer to one request, as far as it can be kept: a Decoder that hands on what it gets."""

    __slots__ = ("_filters", "_operation", "_pieces", "_reply", "_room", "_spoken")

    def __init__(self, operation: Operation, filters: list[Decoder]) -> None:
        self._operation = operation
        self._filters = filters
        self._reply: Reply | None = None
        self._pieces: list[bytes] = []
        self._spoken: Spoken | None = None
        self._room = _HOLD

    def begin(self, reply: Reply) -> None:
        """The head is known: choose how to listen. Nothing of an earlier answer was heard."""
        self._reply = reply
        self._pieces, self._spoken, self._room = [], None, _HOLD
        if reply.head.is_events:
            self._spoken = Spoken(self._operation)
        elif reply.answer is None or not keeps_text(self._operation, _kind(reply)):
            return
        self._filters.append(self)

    def feed(self, data: bytes) -> bytes:
        """A piece on its way to the caller."""
        if self._spoken is not None:
            self._spoken.feed(data)
        elif self._room > 0:
            self._pieces.append(data)
            self._room -= len(data)
        return data

    def finish(self) -> bytes:
        """Nothing is held back."""
        return b""

    def keep(self, x: Exchange) -> None:
        """The end: what was said goes into the record."""
        self._filters = []  # The list of filters has this in it: no cycle is left behind.
        asked, reply = _asked(x), self._reply
        answered = self._answered(reply, x.tail.total) if reply is not None else None
        if asked is not None or answered is not None:
            x.content = Content(asked, answered)

    def _answered(self, reply: Reply, passed: int) -> str | None:
        if reply.answer is None:  # Our own, or from the cache: nothing passed by.
            self.feed(reply.body)
            passed = len(reply.body)
        if not passed:
            return None
        kind = _kind(reply)
        if value(reply.headers, b"content-encoding") is not None:
            return media(kind, passed)
        if self._spoken is not None:
            return self._spoken.text() or media(kind, passed)
        return answer(self._operation, kind, b"".join(self._pieces), passed)


def _kind(reply: Reply) -> str:
    return reply.head.content_type.decode("latin-1")


def _asked(x: Exchange) -> str | None:
    body = x.body
    if isinstance(body, Body):
        return prompt(x.operation, body)
    if isinstance(body, FormUpload | StreamUpload):
        return media(x.incoming.headers.get("content-type", ""), body.length)
    return None
