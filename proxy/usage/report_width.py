"""How many columns of a terminal a text takes.

Letters of East Asia take two, marks that stand above others none.
"""

import unicodedata

_CUT = "…"


def width_of(text: str) -> int:
    """Columns of a terminal."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def padded(text: str, width: int) -> str:
    """The text with spaces behind it."""
    return text + " " * (width - width_of(text))


def clipped(text: str, width: int) -> str:
    """The text, its middle left out where it is wider: both ends of a name tell it apart."""
    if width_of(text) <= width:
        return text
    tail = (width - 1) // 2
    head = width - 1 - tail
    return _first(text, head) + _CUT + _first(text[::-1], tail)[::-1]


def _first(text: str, width: int) -> str:
    taken = 0
    for place, each in enumerate(text):
        taken += _columns(each)
        if taken > width:
            return text[:place]
    return text


def _columns(each: str) -> int:
    if unicodedata.combining(each):
        return 0
    return 2 if unicodedata.east_asian_width(each) in "WF" else 1
