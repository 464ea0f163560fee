"""The usage of an answer as OpenAI writes it, read with one look.

OpenAI and all that imitate it end an answer with the same few numbers. Two searches find where they
stand and one strict decoding reads them. Whatever else is there, or does not add up, is None: then
wire/usage.py reads it, which knows every dialect. So this says what that would say, or nothing, in
a third of the time.
"""

from typing import Final

import msgspec

from proxy.usage.usual_numbers import Given, Made, decode
from proxy.wire.record import Usage

_USAGE: Final = b'"usage"'
_BILLED: Final = b'"billed_units"'
_COLON: Final = ord(":")
_AFTER: Final = len(_USAGE)


def usual_usage(tail: bytes) -> Usage | None:
    """The usage at the end of an answer, or None where a closer look is needed."""
    at = tail.rfind(_USAGE)
    colon = at + _AFTER
    end = tail.find(b"}", at) + 1
    if at < 0 or not end or tail[colon] != _COLON:
        return None
    text = tail[colon + 1 : end]
    if text.rfind(b"{") > 1:  # Details: two objects, and the end of the whole is the third.
        end = tail.find(b"}", tail.find(b"}", end) + 1) + 1
        text = tail[colon + 1 : end]
    try:
        found = decode(text)
    except msgspec.MsgspecError:
        return None
    tokens_in, tokens_out = found.prompt_tokens, found.completion_tokens
    if tokens_in + tokens_out != found.total_tokens or tail.find(_BILLED, end) >= 0:
        return None
    given, made = found.prompt_tokens_details, found.completion_tokens_details
    if given is None and made is None:
        return Usage(tokens_in, tokens_out)
    return _detailed(tokens_in, tokens_out, given or Given(), made or Made())


def _detailed(tokens_in: int, tokens_out: int, given: Given, made: Made) -> Usage | None:
    cached, reasoning = given.cached_tokens, made.reasoning_tokens
    if given.audio_tokens or made.audio_tokens or cached > tokens_in or reasoning > tokens_out:
        return None
    return Usage(tokens_in, tokens_out, cached, 0, reasoning)
