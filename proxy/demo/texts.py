"""The shapes in which older operations take text: a string, strings, tokens, or lists of tokens."""

from dataclasses import dataclass
from typing import Any

from proxy.demo import tokens
from proxy.demo.content import Refusal
from proxy.demo.fields import mistyped

_EXPECTED = "a string, an array of strings, or arrays of tokens"


@dataclass(frozen=True, slots=True)
class Text:
    """One text and its cost; tokens given as numbers become words of digits."""

    words: str
    tokens: int


def texts(value: Any, param: str, most: int) -> list[Text]:
    """The texts in `value`, at most `most`."""
    if isinstance(value, str):
        return [Text(value, tokens.count(value))]
    if not isinstance(value, list):
        raise mistyped(param, _EXPECTED, value)
    if value and all(_is_token(item) for item in value):
        return [_from_tokens(value)]
    if len(value) > most:
        raise Refusal(f"Invalid '{param}': at most {most} are allowed.", param=param)
    return [_one(item, f"{param}[{place}]") for place, item in enumerate(value)]


def _one(item: Any, at: str) -> Text:
    if isinstance(item, str):
        return Text(item, tokens.count(item))
    if isinstance(item, list) and item and all(_is_token(one) for one in item):
        return _from_tokens(item)
    raise mistyped(at, "a string or an array of tokens", item)


def _from_tokens(numbers: list[int]) -> Text:
    return Text(" ".join(map(str, numbers)), len(numbers))


def _is_token(item: Any) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)
