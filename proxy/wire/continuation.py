"""A stream that broke off in the middle, carried on by another vendor: pure, bytes in, bytes out.

Two ways. `Prefilled`: the second vendor was given the text sent so far as the beginning of its own
answer (`prefill_body`) and goes on from there. `Repeated`: it was asked anew, and nothing is passed
on until it has repeated exactly what the caller has read already; where it says something else,
`Diverged` ends the attempt.

Both make one answer of two: `id` and `created` stay those of the first stream, `model` names the
one that really speaks, the role is not told twice. Usage, finish reasons and `[DONE]` pass; in
front of the first of them goes the `mark`. What cannot be read is dropped and counted
(`malformed`): here every event must be.
"""

from abc import ABC, abstractmethod
from typing import Any, Final, Literal

import msgspec

from proxy.base.errors import BadRequest, Malformed, UpstreamError
from proxy.base.jsonio import dumps
from proxy.wire.body import Body
from proxy.wire.continuation_sent import Sent, data_of, object_of, says_more
from proxy.wire.sse import WholeEvents, missing_end, split

__all__ = ["Diverged", "Prefilled", "Repeated", "Sent", "prefill_body", "rescue_event"]

SURELY_REPEATED: Final = 16
"""From so many characters on, a continuation that begins with all of the text sent repeats it. A
shorter one may go on like that by itself ("ha" + "ha"); there `prefill` is trusted."""

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_HARMLESS_BEFORE = ("reasoning", "reasoning_content", "reasoning_details", "thinking")


class Diverged(UpstreamError):
    """A second answer that is not the first one: nothing of it can be used."""

    default_code = "upstream_diverged"
    public = "gave another answer than the one that was begun"
    kind = "diverged"


class _Continued(ABC):
    """A chat stream, event by event, under the name of the one before it."""

    __slots__ = ("_events", "_mark", "_names", "_role", "malformed")

    def __init__(self, sent: Sent, mark: bytes = b"") -> None:
        sent.read()
        self._mark = mark  # Goes out once, when the end is in sight.
        self._events = WholeEvents()
        self._role = sent.role
        self._names: dict[str, msgspec.Raw] = {}
        if sent.id is not None:
            self._names["id"] = msgspec.Raw(dumps(sent.id))
        if sent.created is not None:
            self._names["created"] = msgspec.Raw(dumps(sent.created))
        self.malformed = 0

    def feed(self, data: bytes) -> bytes:
        """What may go to the caller now."""
        data = self._events.feed(data)
        if self._events.inside:
            raise Malformed("an event of the continuation is too large to be read")
        return b"".join([self._event(event) for event in split(data)]) if data else b""

    def finish(self) -> bytes:
        """What is left at the end of the stream."""
        rest = self._events.finish()
        last = self._event(rest + missing_end(rest)) if rest else b""
        return last + self._end()

    def _event(self, event: bytes) -> bytes:
        data = data_of(event)
        if data is None:
            return event  # A comment keeps the caller's connection alive.
        if data == b"[DONE]":
            return self._end() + self._marked(event)
        chunk = object_of(data)
        if chunk is None:
            self.malformed += 1
            return b""
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return event  # An error, most likely.
        if not choices:
            told = self._without_choice(data)
            return self._marked(told) if chunk.get("usage") else told
        choice = choices[0]
        if not isinstance(choice, dict) or not isinstance(choice.get("delta") or {}, dict):
            self.malformed += 1
            return b""
        told = self._chunk(data, choices, bool(chunk.get("usage")))
        return self._marked(told) if choice.get("finish_reason") else told

    def _marked(self, told: bytes) -> bytes:
        if not told:
            return b""
        mark, self._mark = self._mark, b""
        return mark + told

    @abstractmethod
    def _end(self) -> bytes:
        """What must be said before the stream ends."""

    @abstractmethod
    def _without_choice(self, data: bytes) -> bytes:
        """What becomes of an event that says nothing: usage, most likely."""

    @abstractmethod
    def _chunk(self, data: bytes, choices: list[Any], counts: bool) -> bytes:
        """What becomes of an event that says something; `counts`: it has usage."""

    def _told(self, data: bytes, choices: list[Any] | None = None) -> bytes:
        """An event under the first stream's name, with these choices or its own."""
        members = _MEMBERS.decode(data) | self._names
        if choices is not None:
            members["choices"] = msgspec.Raw(dumps(choices))
        return b"data: " + msgspec.json.encode(members) + b"\n\n"

    def _told_once(self, data: bytes, choices: list[Any], content: object, counts: bool) -> bytes:
        """The same with this content and no second role; nothing where nothing is left to say."""
        choice = choices[0]
        delta = choice.get("delta") or {}
        same = content == delta.get("content")
        if same and not (self._role and "role" in delta):
            return self._told(data)
        delta = {**delta, "content": content}
        if self._role:
            delta.pop("role", None)
        says = content or delta.get("role") or says_more(delta)
        if not (says or choice.get("finish_reason") or counts or len(choices) > 1):
            return b""
        return self._told(data, [{**choice, "delta": delta}, *choices[1:]])


class Prefilled(_Continued):
    """A stream that goes on from the text that its vendor was given."""

    __slots__ = ("_held", "_repeat", "_template", "_white")

    def __init__(self, sent: Sent, mark: bytes = b"") -> None:
        super().__init__(sent, mark)
        prefill = sent.prefill
        self._repeat = prefill if len(prefill) >= SURELY_REPEATED else ""
        self._white = sent.text[len(prefill) :]  # The caller has it; the vendor was not told.
        self._held = ""  # May yet turn out to be a repetition.
        self._template = b""  # An event to say it with.

    def _end(self) -> bytes:
        self._repeat = ""
        text = self._stripped("")
        self._white = ""
        if not text:
            return b""
        members = _MEMBERS.decode(self._template)
        members.pop("usage", None)
        choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
        return self._told(msgspec.json.encode(members), choices)

    def _without_choice(self, data: bytes) -> bytes:
        return self._told(data)

    def _chunk(self, data: bytes, choices: list[Any], counts: bool) -> bytes:
        if not (self._repeat or self._white or self._role):
            return self._told(data)
        choice = choices[0]
        delta = choice.get("delta") or {}
        content = delta.get("content")
        if isinstance(content, str) and content and (self._repeat or self._white):
            self._template = data
            content = self._stripped(content)
        before = b""
        if self._held and (choice.get("finish_reason") or says_more(delta)):
            before = self._end()
        return before + self._told_once(data, choices, content, counts)

    def _stripped(self, content: str) -> str:
        """What of the held text and this is new."""
        held = self._held + content
        if self._repeat:
            if len(held) < len(self._repeat) and self._repeat.startswith(held):
                self._held = held
                return ""
            held = held.removeprefix(self._repeat)
            self._repeat = ""
        self._held = ""
        same = 0
        while same < min(len(held), len(self._white)) and held[same] == self._white[same]:
            same += 1
        self._white = self._white[same:] if same == len(held) else ""
        return held[same:]


class Repeated(_Continued):
    """A stream that begins anew; what the caller has read already is held back."""

    __slots__ = ("_at", "_text")

    def __init__(self, sent: Sent, mark: bytes = b"") -> None:
        super().__init__(sent, mark)
        self._text = sent.text
        self._at = 0  # So much of it was repeated.

    @property
    def repeated(self) -> bool:
        """Whether all of it was: from here on the stream is passed on."""
        return self._at == len(self._text)

    def _end(self) -> bytes:
        if not self.repeated:
            raise Diverged("the restarted answer ended before it had repeated what was sent")
        return b""

    def _without_choice(self, data: bytes) -> bytes:
        return self._told(data) if self.repeated else b""

    def _chunk(self, data: bytes, choices: list[Any], counts: bool) -> bytes:
        choice = choices[0]
        delta = choice.get("delta") or {}
        content = delta.get("content")
        if self.repeated:
            return self._told_once(data, choices, content, counts)
        if content or choice.get("finish_reason") or says_more(delta):
            content = self._beyond(delta, content)
        if not self.repeated:
            return self._end() if choice.get("finish_reason") else b""
        return self._told_once(data, choices, content, counts)

    def _beyond(self, delta: dict[str, Any], content: object) -> str:
        """What this says behind the text that was sent. Raises Diverged."""
        more = {name: value for name, value in delta.items() if name not in _HARMLESS_BEFORE}
        said = content if isinstance(content, str) else ""
        left = len(self._text) - self._at
        if says_more(more) or not (
            self._text.startswith(said[:left], self._at) and (content is None or said == content)
        ):
            raise Diverged("the restarted answer says something else than what was sent")
        self._at += min(len(said), left)
        return said[left:]


def rescue_event(
    kind: Literal["prefill", "restart"], provider: str, model: str, sent: Sent | None = None
) -> bytes:
    """Marks a stream that another vendor has finished: the `mark` of the decoders above.

    A chunk like any other, with a delta that says nothing: clients that read `choices[0]` without
    looking (OpenAI's own examples do) would stumble over an empty list. Its place is in front of
    the finish reason: behind the usage it would make the SDK's `stream()` forget that."""
    if sent is not None:
        sent.read()
    chunk = {
        "id": (sent.id if sent is not None else None) or "",
        "object": "chat.completion.chunk",
        "created": (sent.created if sent is not None else None) or 0,
        "model": model,
        "choices": [{"index": 0, "delta": {}, "finish_reason": None}],
        "llm_proxy": {"rescue": kind, "provider": provider, "model": model},
    }
    return b"data: " + dumps(chunk) + b"\n\n"


def prefill_body(body: Body, text: str) -> None:
    """Give the request the beginning of its answer (`Sent.prefill`): one assistant message at the
    end, or more text for one that the caller has put there. Everything else stays byte for byte."""
    if not text:
        return  # Vendors refuse an empty message.
    messages = (body.value("messages") or b"[]").rstrip()
    try:
        last = _LIST.decode(messages)[-1:]
    except msgspec.ValidationError:
        raise BadRequest("`messages` must be a list", param="messages") from None
    begun = object_of(bytes(last[0])) if last else None
    if begun is not None and _is_begun(begun):
        members = _MEMBERS.decode(last[0])
        members["content"] = msgspec.Raw(dumps(begun["content"] + text))
        at = messages.rindex(bytes(last[0]))
        behind = messages[at + len(bytes(last[0])) :]
        body.set("messages", messages[:at] + msgspec.json.encode(members) + behind)
        return
    comma = b"," if last else b""
    message = dumps({"role": "assistant", "content": text})
    body.set("messages", messages[:-1] + comma + message + b"]")


def _is_begun(message: dict[str, Any]) -> bool:
    return (
        message.get("role") == "assistant"
        and isinstance(message.get("content"), str)
        and not message.get("tool_calls")
    )
