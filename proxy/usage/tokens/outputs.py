"""The tokens of an answer, whole (JSON) or streamed (events): its text, calls, reasoning, speech.

The pieces of a stream are joined before they are counted, because tokens reach across them: text by
choice and kind, arguments by call. An answer in no known shape is uncountable.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from proxy.base.jsonio import JSONError, loads
from proxy.usage.tokens.audio import SPOKEN, audio_tokens
from proxy.usage.tokens.tally import Tally, Uncountable, an_object, objects
from proxy.wire.sse import split

_REASONING = ("reasoning_content", "reasoning")
_RESPONSE_ENDS = frozenset(("response.completed", "response.incomplete"))
_RESPONSE_TEXTS = frozenset(
    (
        "response.output_text.delta",
        "response.refusal.delta",
        "response.function_call_arguments.delta",
    )
)


class Said:
    """What an answer says, piece by piece. `hidden` is reasoning."""

    __slots__ = ("_audio", "_pieces", "hidden", "text")

    def __init__(self, most: int) -> None:
        self.text = Tally(most)
        self.hidden = Tally(most)
        self._pieces: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
        self._audio: defaultdict[object, list[str]] = defaultdict(list)

    def add(self, piece: Any, *place: object, hidden: bool = False) -> None:
        """One piece of the text at a place."""
        if isinstance(piece, str):
            self._pieces[(hidden, *place)].append(piece)

    def add_audio(self, piece: Any, place: object) -> None:
        """One piece of base64 speech at a place."""
        if isinstance(piece, str):
            self._audio[place].append(piece)

    def close(self) -> "Said":
        """All pieces are here. Raises Uncountable when they are too much."""
        for place, pieces in self._pieces.items():
            tally = self.hidden if place[0] else self.text
            tally.text("".join(pieces))
        for pieces in self._audio.values():
            self.text.audio += audio_tokens("".join(pieces), "pcm16", SPOKEN)
        return self


def output_said(operation: str, body: bytes, most: int, *, streamed: bool) -> Said:
    """What an answer says. Raises Uncountable."""
    said = Said(most)
    reader = _READERS[operation]
    try:
        if streamed:
            for event in _events(body):
                reader(said, event)
        else:
            answer = loads(body)
            if not isinstance(answer, dict) or _WHOLE[operation] not in answer:
                raise Uncountable("the answer is in no known shape")
            reader(said, answer)
    except JSONError:
        raise Uncountable("the answer is no JSON") from None
    return said.close()


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    """The data of each event that is a JSON object."""
    for event in split(body):
        lines = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
        data = b"\n".join(lines).strip()
        if data.startswith(b"{"):
            yield loads(data)


def _chat(said: Said, answer: dict[str, Any]) -> None:
    """A whole answer or one chunk: `message` or `delta`."""
    for place, choice in enumerate(objects(answer.get("choices"))):
        at = choice.get("index", place)
        message = an_object(choice.get("message") or choice.get("delta"))
        said.add(message.get("content"), at, "content")
        for part in objects(message.get("content")):
            said.add(part.get("text"), at, "content")
        said.add(message.get("refusal"), at, "refusal")
        for name in _REASONING:
            if isinstance(message.get(name), str):  # Some vendors send both, with the same text.
                said.add(message[name], at, hidden=True)
                break
        calls = objects(message.get("tool_calls"))
        for number, call in enumerate(calls):
            _call(said, call.get("function"), at, call.get("index", number))
        _call(said, message.get("function_call"), at, "function_call")
        audio = an_object(message.get("audio"))
        said.add(audio.get("transcript"), at, "transcript")
        said.add_audio(audio.get("data"), at)


def _call(said: Said, function: Any, *place: object) -> None:
    called = an_object(function)
    said.add(called.get("name"), *place, "name")
    said.add(called.get("arguments"), *place, "arguments")


def _completions(said: Said, answer: dict[str, Any]) -> None:
    for place, choice in enumerate(objects(answer.get("choices"))):
        said.add(choice.get("text"), choice.get("index", place))


def _embeddings(_said: Said, _answer: dict[str, Any]) -> None:
    """Vectors are no tokens."""


def _responses(said: Said, found: dict[str, Any]) -> None:
    """A whole answer, or one event. The last event repeats everything, so the text of the others
    counts; a name stands only in the item that is added."""
    kind = found.get("type")
    if "output" in found and kind is None:
        for item in objects(found.get("output")):
            _item(said, item)
    elif kind in _RESPONSE_TEXTS:
        said.add(found.get("delta"), kind, found.get("output_index"), found.get("content_index"))
    elif kind == "response.reasoning_text.delta":
        said.add(found.get("delta"), found.get("output_index"), hidden=True)
    elif kind == "response.output_item.added":
        said.add(an_object(found.get("item")).get("name"), found.get("output_index"), "name")


def _item(said: Said, item: dict[str, Any]) -> None:
    place = item.get("id"), len(item)
    hidden = item.get("type") == "reasoning"
    for number, part in enumerate(objects(item.get("content"))):
        said.add(part.get("text"), place, number, hidden=hidden)
        said.add(part.get("refusal"), place, number, "refusal")
    for name in ("name", "arguments", "input"):
        said.add(item.get(name), place, name)


_READERS: Mapping[str, Callable[[Said, dict[str, Any]], None]] = {
    "chat": _chat,
    "completions": _completions,
    "embeddings": _embeddings,
    "responses": _responses,
}
_WHOLE = {"chat": "choices", "completions": "choices", "embeddings": "data", "responses": "output"}
