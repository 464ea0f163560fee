"""What is found in a request or an answer, before it is counted: texts, and tokens known otherwise.

Gathering comes first and is bounded, encoding second: text that is too long is never encoded.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiktoken import Encoding

AT_ONCE = 16 * 1024
"""Characters that are encoded in one go."""


class Uncountable(Exception):
    """Nobody outside the vendor can say how many tokens this has, or it is too much to count."""


class Tally:
    """Texts, and tokens by formula."""

    __slots__ = ("_room", "audio", "texts", "tokens")

    def __init__(self, most: int) -> None:
        """`most`: characters of text."""
        self._room = most
        self.texts: list[str] = []
        self.tokens = 0  # Of all that is no text, audio aside.
        self.audio = 0

    def text(self, found: Any) -> None:
        """Count this; what is no string counts nothing. Raises Uncountable when it is too much."""
        if not isinstance(found, str) or not found:
            return
        self._room -= len(found)
        if self._room < 0:
            raise Uncountable("there is too much text")
        self.texts.append(found)

    def total(self, encoding: "Encoding") -> int:
        """All tokens. A million characters take about a tenth of a second, of the worst kind
        about half a second."""
        encode = encoding.encode_ordinary
        counts = (len(encode(piece)) for text in self.texts for piece in pieces(text))
        return self.tokens + self.audio + sum(counts)


def pieces(text: str) -> Iterator[str]:
    """The text in parts that can be encoded safely: a million spaces in a row are more than
    tiktoken's search has a stack for. Cut in front of a space, where tokens begin anyway."""
    start, end = 0, len(text)
    while end - start > AT_ONCE:
        space = text.rfind(" ", start + AT_ONCE // 2, start + AT_ONCE)
        cut = space if space > 0 else start + AT_ONCE
        yield text[start:cut]
        start = cut
    yield text[start:]


def objects(found: Any) -> list[dict[str, Any]]:
    """The JSON objects of a list; of anything else, none."""
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def an_object(found: Any) -> dict[str, Any]:
    """A JSON object, or an empty one in place of anything else."""
    return found if isinstance(found, dict) else {}
