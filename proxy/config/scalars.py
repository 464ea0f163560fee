"""What a plain (unquoted) YAML scalar means: the core schema of YAML 1.2, §10.3.2.

Only true/false are booleans: `on`, `yes` and `no` stay text. Numbers are decimal, `0o17` or `0x1F`;
`012` is twelve and `1:30` is text, unlike in YAML 1.1.
"""

import re
from math import isfinite

Value = str | int | float | bool | None

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}", re.ASCII)
_BASED = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = frozenset({".nan", ".NaN", ".NAN"})


class Blank(str):
    """The empty text that is left when `variables` are empty: it counts as not written."""

    __slots__ = ("variables",)
    variables: tuple[str, ...]

    def __new__(cls, variables: tuple[str, ...] = ()) -> "Blank":
        blank = super().__new__(cls)
        blank.variables = variables
        return blank


class Number(float):
    """A number and how it was `written`: a binary float does not keep all of its decimals."""

    __slots__ = ("written",)
    written: str

    def __new__(cls, text: str) -> "Number":
        number = super().__new__(cls, text)
        number.written = text
        return number


def plain_value(text: str) -> Value:
    """The value of a plain scalar. Numbers of absurd length stay text."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] in "+-.0123456789":
        return _number(text)
    return text


def _number(text: str) -> Value:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return number if isfinite(number := Number(text)) else text
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return float("nan") if text in _NAN else text
