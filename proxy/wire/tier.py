"""The service tier that an answer names: what a vendor sells dearer or cheaper than usual.

OpenAI and Groq write `service_tier` beside `usage`, Anthropic within it (and `speed`). An answer
also repeats what its caller wrote (`metadata`, the schemas of tools), and no caller may choose its
own price that way: only a member of the same object as `usage` counts. If it is one, the text from
there to `usage` is the inside of an object, which one decoding proves, however long it is.
Where that is not so, the text is walked over: strings and braces only, within one event, once.
"""

import re

import msgspec

from proxy.wire.tail import usage_span

_NAME = b'"service_tier"'
_EVENT = b"\ndata:"  # No string has a line break: between two events, if anywhere.
_CHOICES = b'"choices"'
_WITHIN = re.compile(rb'"(?:speed|service_tier)"\s*:\s*"(\w{1,32})"')
_NEXT = re.compile(rb'\s*,\s*"service_tier"\s*:\s*"(\w{1,32})"')
_FIRST = re.compile(rb'"service_tier"\s*:\s*"(\w{1,32})"')
_STEPS = re.compile(rb'"service_tier"\s*:\s*"(\w{1,32})"|"(?:[^"\\]|\\.)*"|[{}]')
_USUAL = frozenset((b"standard", b"default"))


class _Inside(msgspec.Struct, gc=False):
    service_tier: str | None = None


_INSIDE = msgspec.json.Decoder(_Inside)


def tier_in(tail: bytes) -> str:
    """The tier that an answer with these last bytes was served in, or nothing: it names none."""
    if _NAME not in tail:
        return ""
    start, end = usage_span(tail)
    if end:
        for found in _WITHIN.findall(tail, start, end):
            if found not in _USUAL:
                return str(found, "ascii")
        if (follows := _NEXT.match(tail, end)) is not None:
            return str(follows[1], "ascii")
    else:  # A chat that was cut: every chunk says it.
        choices = tail.rfind(_CHOICES)
        start = end = tail.find(b":", choices) + 1
        if choices < 0 or not start:
            return ""
    found = _before(tail, start) or _behind(tail, end)
    return str(found, "ascii", "replace")


def _before(tail: bytes, place: int) -> bytes:
    """The last tier in front of a place, in the object whose member has its value there."""
    event = max(0, tail.rfind(_EVENT, 0, place))
    first = _FIRST.search(tail, event, place)
    if first is None:
        return b""
    try:
        inside = _INSIDE.decode(b"{%b0}" % tail[first.start() : place])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass  # The first to be seen is of another object.
    else:
        return (inside.service_tier or "").encode()
    depth = 0
    open_: dict[int, bytes] = {}  # What the objects that are still open say, by their depth.
    for step in _STEPS.finditer(tail, first.start(), place):
        if step[1] is not None:
            open_[depth] = step[1]
        elif step[0] == b"{":
            depth += 1
            open_.pop(depth, None)
        elif step[0] == b"}":
            open_.pop(depth, None)
            depth -= 1
    return open_.get(depth, b"")


def _behind(tail: bytes, place: int) -> bytes:
    """The first tier behind a place, in the object whose member ends there."""
    depth = 0
    for step in _STEPS.finditer(tail, place):
        if step[1] is not None:
            if depth == 0:
                return step[1]
        elif step[0] == b"{":
            depth += 1
        elif step[0] == b"}":
            depth -= 1
            if depth < 0:
                break
    return b""
