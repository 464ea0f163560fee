"""The most tokens of input that a request can have: what a limit or a budget asks before a no.

Every text in the request is counted, whatever field it stands in: a field that we do not know may
be read by the vendor all the same. For a plain conversation that is OpenAI's own count and a few
tokens more. Where nobody publishes how a vendor counts (another vendor's encoding; tools and
schemas) half as much again is added. A picture whose size is not at hand counts as the largest.
What is only at the vendor, or heard, is not counted at all.
"""

from dataclasses import dataclass
from typing import Any

from proxy.base.jsonio import JSONError, loads
from proxy.usage.tokens.counting import MOST_BODY, MOST_TEXT
from proxy.usage.tokens.encodings import Encodings, encoding_name, is_openai
from proxy.usage.tokens.images import image_tokens, is_sized, most_picture
from proxy.usage.tokens.tally import Tally, Uncountable

_MARGIN = 3, 2
_AROUND = 16  # Tokens that begin and end a request.
_MOST_VALUES = 50_000
_DEEPEST = 64
_APPROXIMATE = ("tools", "functions", "response_format", "text")
_NOT_READ = frozenset(("model", "user", "metadata"))  # By the model.
_ELSEWHERE = frozenset(
    (
        *("input_audio", "file", "file_id", "file_data", "file_url", "encrypted_content"),
        *("previous_response_id", "conversation"),
    )
)


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and the vendors' names of the models that it may go to."""

    models: tuple[str, ...]
    request: bytes

    @property
    def too_large(self) -> bool:
        """Whether it is not worth a look."""
        return len(self.request) > MOST_BODY


def most_input(asked: Question, encodings: Encodings) -> int | None:
    """Count, or None where nobody outside the vendor could. For a thread. Raises NoRanks."""
    try:
        fields = loads(asked.request)
        # Of the models that count alike one is enough.
        alike = {(encoding_name(m), is_openai(m), most_picture(m)): m for m in asked.models}
        return max(_count(fields, model, encodings) for model in alike.values())
    except (Uncountable, JSONError):
        return None


def _count(fields: dict[str, Any], model: str, encodings: Encodings) -> int:
    walk = _Walk(model)
    for name, value in fields.items():
        if name not in _NOT_READ:
            walk.member(name, value, _DEEPEST)
    found = walk.tally.total(encodings.get(encoding_name(model)))
    if not is_openai(model) or any(fields.get(name) for name in _APPROXIMATE):
        times, of = _MARGIN
        found = -(-found * times // of)
    return found + walk.unsized * most_picture(model) + _AROUND


class _Walk:
    """Over all values of a request."""

    def __init__(self, model: str) -> None:
        self.tally = Tally(MOST_TEXT)
        self.unsized = 0  # Pictures that were taken to be of a usual size.
        self._model = model
        self._values = _MOST_VALUES

    def member(self, name: str, value: Any, deepest: int) -> None:
        """A name and its value."""
        if name in _ELSEWHERE and value is not None:
            raise Uncountable("a part of the input is at the vendor, or no text")
        if name == "image_url":
            self._picture(value)
            return
        self.tally.text(name)
        self._value(value, deepest)

    def _value(self, value: Any, deepest: int) -> None:
        self._values -= 1
        if deepest == 0 or self._values < 0:
            raise Uncountable("there is too much to look at")
        match value:
            case str():
                self.tally.text(value)
            case dict():
                self.tally.tokens += 1
                for name, inner in value.items():
                    self.member(name, inner, deepest - 1)
            case list():
                for inner in value:
                    self._value(inner, deepest - 1)
            case _:
                self.tally.tokens += 1

    def _picture(self, value: Any) -> None:
        given = value if isinstance(value, dict) else {"url": value}
        url = given.get("url")
        self.tally.tokens += image_tokens(self._model, url, given.get("detail"))
        self.unsized += not is_sized(url)
