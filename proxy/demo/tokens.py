"""What a token is to the demo vendor, and how a text is cut and told in pieces.

A word of k characters costs ceil(k / 4) tokens, white space nothing. The count is declared, not
guessed: `count(head(text, n)) == n` whenever `head` had to cut, and the pieces of a text joined are
the text, so that usage, streams and whole answers always agree.
"""

import re

PER_MESSAGE = 3
"""Tokens that each message of a prompt costs beside its words."""

PER_MEDIUM = 85
"""Tokens of one part of a prompt that is not text (image, audio, file)."""

_PIECE = re.compile(r"\s*\S{1,16}|\s+")
_WORD = re.compile(r"\S+")


def count(text: str) -> int:
    """The tokens of `text`."""
    return sum((len(word) + 3) >> 2 for word in text.split())


def head(text: str, limit: int) -> str:
    """The first `limit` tokens of `text`; the last word may be a fragment."""
    left = limit
    for word in _WORD.finditer(text):
        cost = (word.end() - word.start() + 3) >> 2
        if cost > left:
            return text[: word.start() + 4 * left] if left else text[: word.start()].rstrip()
        left -= cost
    return text


def pieces(text: str) -> list[str]:
    """`text` word by word, white space in front; words of more than 16 characters in parts."""
    return _PIECE.findall(text)
