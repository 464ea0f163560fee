"""A JSON text made shorter, that is JSON all the same: whoever reads it needs no special case.

What does not fit is left out at the end; the string or list that it stood in ends with an ellipsis,
and all that is open is closed. One pass over what is kept, strings skipped in C.
"""

import re

MARK = "…"

_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)("?)|[{}\[\]]', re.DOTALL)
# An escape that lacks digits, or the first half of a pair that lacks its second.
_FEW = r"(?:u[0-9a-fA-F]{0,3})?"
_HALF = re.compile(rf"(?<!\\)((?:\\\\)*)\\(?:{_FEW}|u[dD][89abAB][0-9a-fA-F]{{2}}(?:\\{_FEW})?)$")
_CLOSING = {"{": "}", "[": "]"}


def cut_json(raw: bytes, limit: int, *, whole: bool = True) -> str:
    """`raw`, a JSON text in UTF-8, in about `limit` bytes; unchanged when it is no longer. When it
    is not `whole`, it is only the beginning of one, and mended in any case."""
    if whole and len(raw) <= limit:
        return raw.decode("utf-8", "replace")
    text = raw[:limit].decode("utf-8", "ignore")
    return _closed(text)


def cut_text(raw: bytes, limit: int) -> str:
    """Any text in UTF-8, in about `limit` bytes, with an ellipsis where it was cut."""
    if len(raw) <= limit:
        return raw.decode("utf-8", "replace")
    return raw[:limit].decode("utf-8", "ignore") + MARK


def _closed(text: str) -> str:
    """The beginning of a JSON text, mended to a whole one."""
    open_: list[str] = []
    last: re.Match[str] | None = None
    for last in _TOKEN.finditer(text):
        token = last[0]
        if token in _CLOSING:
            open_.append(token)
        elif token in "}]" and open_:
            open_.pop()
    if last is None:
        return f'"{MARK}"'  # One number or word, longer than the limit.
    if last[1] is not None and not last[2] and not _is_name(text, last, open_):
        mended = _HALF.sub(r"\1", text) + MARK + '"'
    else:
        mended = _marked(text, last, open_)
    return mended + "".join(_CLOSING[each] for each in reversed(open_))


def _marked(text: str, last: re.Match[str], open_: list[str]) -> str:
    """The text up to its last whole value, and a mark behind it."""
    whole = last[1] is None or bool(last[2])
    kept = text[: last.end() if whole else last.start()].rstrip(" \t\r\n,")
    if last[2] and _is_name(text, last, open_):
        kept += ":null"
    if not open_:
        return kept
    mark = f'"{MARK}"' if open_[-1] == "[" else f'"{MARK}":null'
    return kept + ("" if kept[-1] in _CLOSING else ",") + mark


def _is_name(text: str, string: re.Match[str], open_: list[str]) -> bool:
    if not open_ or open_[-1] != "{":
        return False
    return text[: string.start()].rstrip(" \t\r\n")[-1:] in {"{", ","}
