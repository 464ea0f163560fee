"""What was said in a stream of events, put together as the answer would be without streaming.

    spoken = Spoken(CHAT); spoken.feed(events); spoken.feed(events); spoken.text()

Events are read some kilobytes at a time, so a stream costs a parse per event and no pause, and
memory holds its words and not its frames. At most `LONGEST` of words are kept; then it is deaf.
Whatever a vendor sends, nothing here raises.
"""

from collections.abc import Callable
from typing import Any

from proxy.base import jsonio
from proxy.base.redact import redact
from proxy.wire import operations as op
from proxy.wire.content import LONGEST
from proxy.wire.cut_json import MARK, cut_json
from proxy.wire.sse import end_of_events, split

_AT_ONCE = 16 * 1024
_LARGEST_EVENT = 256 * 1024  # A picture; words come in small ones.
_SLOT = 64  # What a choice or a call counts besides its words.
_ENVELOPE = LONGEST // 4

Slot = dict[str, Any]


class Words:
    """Pieces of text by place, within a bound."""

    __slots__ = ("_room", "slots")

    def __init__(self) -> None:
        self.slots: dict[Any, Slot] = {}
        self._room = LONGEST

    @property
    def full(self) -> bool:
        return self._room < 0

    def slot(self, place: Any) -> Slot:
        """What is known of a place."""
        found = self.slots.get(place)
        if found is None:
            found = self.slots[place] = {}
            self._room -= _SLOT
        return found

    def add(self, place: Any, name: str, words: object) -> None:
        """More of the text `name` of a place."""
        if not isinstance(words, str) or not words or self.full:
            return
        pieces = self.slot(place).setdefault(name, [])
        size = len(words) if words.isascii() else len(words.encode("utf-8", "replace"))
        if size > self._room:
            words = words.encode("utf-8", "replace")[: self._room].decode("utf-8", "ignore") + MARK
        self._room -= size
        pieces.append(words)

    def joined(self, place: Any) -> Slot:
        """The slot with its texts joined."""
        slot = self.slots[place]
        return {n: "".join(v) if isinstance(v, list) else v for n, v in slot.items()}


class Spoken:
    """The words of one stream."""

    __slots__ = ("_pending", "_read", "_size", "_told", "_words")

    def __init__(self, operation: op.Operation) -> None:
        self._words = Words()
        found = _READERS.get(operation.name)
        self._read = found[0] if found is not None else None
        self._told = found[1] if found is not None else None
        self._pending: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Bytes of the stream, split anywhere."""
        if self._read is None or self._words.full:
            return
        self._pending.append(data)
        self._size += len(data)
        if self._size >= _AT_ONCE:
            self._digest(last=False)

    def text(self) -> str | None:
        """All that was said so far, as JSON; None where nothing was."""
        self._digest(last=True)
        if self._told is None or not self._words.slots:
            return None
        said = jsonio.dumps(self._told(self._words))
        return redact(cut_json(said, LONGEST + _ENVELOPE))

    def _digest(self, *, last: bool) -> None:
        data = b"".join(self._pending)
        end = len(data) if last else end_of_events(data)
        rest = data[end:] if len(data) - end <= _LARGEST_EVENT else b""
        self._pending, self._size = [rest] if rest else [], len(rest)
        for event in split(data[:end]):
            parsed = _data(event)
            if parsed is not None and self._read is not None:
                self._read(parsed, self._words)
            if self._words.full:
                self._pending, self._size = [], 0
                return


def _data(event: bytes) -> dict[str, Any] | None:
    lines = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
    try:
        parsed = jsonio.loads(b"\n".join(lines))
    except jsonio.JSONError:
        return None  # `[DONE]`, a comment, or the end of an event that was too large.
    return parsed if isinstance(parsed, dict) else None


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


def _read_chat(event: dict[str, Any], words: Words) -> None:
    for choice in _objects(event.get("choices")):
        place = _number(choice.get("index"))
        if isinstance(reason := choice.get("finish_reason"), str):
            words.slot((place,))["finish_reason"] = reason[:_SLOT]
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            words.add((place,), "text", choice.get("text"))
            continue
        for name in _TEXTS:
            words.add((place,), name, delta.get(name))
        for call in _objects(delta.get("tool_calls")):
            _read_call(call, (place, _number(call.get("index"))), words)


def _read_call(call: dict[str, Any], place: tuple[int, int], words: Words) -> None:
    words.slot(place[:1])
    if isinstance(name := call.get("id"), str):
        words.slot(place)["id"] = name[:_SLOT]
    function = call.get("function")
    if isinstance(function, dict):
        words.add(place, "name", function.get("name"))
        words.add(place, "arguments", function.get("arguments"))


def _told_chat(words: Words) -> dict[str, Any]:
    choices = []
    for place in sorted(each for each in words.slots if len(each) == 1):
        choice: dict[str, Any] = {"index": place[0]}
        said = words.joined(place)
        reason = said.pop("finish_reason", None)
        if "text" in said:
            choice["text"] = said["text"]
        else:
            choice["message"] = {"role": "assistant", **said}
        calls = [
            {"id": call.get("id"), "type": "function", "function": _function(call)}
            for call in map(words.joined, sorted(w for w in words.slots if _is_call(w, place)))
        ]
        if calls:
            choice.setdefault("message", {"role": "assistant"})["tool_calls"] = calls
        choices.append({**choice, "finish_reason": reason})
    return {"choices": choices}


def _is_call(place: tuple[int, ...], choice: tuple[int, ...]) -> bool:
    return len(place) == 2 and place[:1] == choice


def _function(call: Slot) -> dict[str, str]:
    return {"name": call.get("name", ""), "arguments": call.get("arguments", "")}


_KNOWN = ("type", "role", "name", "call_id")


def _read_response(event: dict[str, Any], words: Words) -> None:
    kind = event.get("type")
    if not isinstance(kind, str):
        return
    place = _number(event.get("output_index"))
    if kind == "response.output_item.added" and isinstance(item := event.get("item"), dict):
        told = ((name, item.get(name)) for name in _KNOWN)
        words.slot(place).update((n, value[:_SLOT]) for n, value in told if isinstance(value, str))
    elif kind.endswith(".delta") and not kind.endswith("audio.delta"):
        words.add(place, _FIELDS.get(kind.removeprefix("response."), "text"), event.get("delta"))


_FIELDS = {
    "function_call_arguments.delta": "arguments",
    "custom_tool_call_input.delta": "arguments",
    "mcp_call_arguments.delta": "arguments",
    "reasoning_summary_text.delta": "summary",
    "refusal.delta": "refusal",
}


def _told_response(words: Words) -> dict[str, Any]:
    output = []
    for place in sorted(words.slots):
        said = words.joined(place)
        item: dict[str, Any] = {n: said.pop(n) for n in (*_KNOWN, "arguments") if n in said}
        content = [{"type": _PARTS[name], _KEYS.get(name, "text"): said[name]} for name in said]
        if "type" not in item:
            item["type"] = "message"
        if item["type"] == "reasoning":
            item["summary"] = content
        elif content:
            item["content"] = content
        output.append(item)
    return {"output": output}


_PARTS = {"text": "output_text", "refusal": "refusal", "summary": "summary_text"}
_KEYS = {"refusal": "refusal"}


def _read_transcript(event: dict[str, Any], words: Words) -> None:
    if event.get("type") == "transcript.text.delta":
        words.add(0, "text", event.get("delta"))


def _told_transcript(words: Words) -> dict[str, Any]:
    return words.joined(0)


_Reader = Callable[[dict[str, Any], Words], None]
_Teller = Callable[[Words], dict[str, Any]]
_READERS: dict[str, tuple[_Reader, _Teller]] = {
    op.CHAT.name: (_read_chat, _told_chat),
    op.COMPLETIONS.name: (_read_chat, _told_chat),
    op.RESPONSES.name: (_read_response, _told_response),
    op.TRANSCRIPTIONS.name: (_read_transcript, _told_transcript),
}
