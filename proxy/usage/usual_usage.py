"""The usage of an answer as OpenAI writes it, read with one look.

OpenAI and all that imitate it end an answer with the same few numbers in the same order. One match
finds them where they stand, without a decoder or a copy. Whatever else is there, in another order
or not in agreement with itself is None: then wire/usage.py reads it, which knows every dialect. So
this says what that would say, or nothing.
"""

import re

from proxy.wire.record import Usage

_USAGE = b'"usage"'
_BILLED = b'"billed_units"'
_COUNT = rb"(0|[1-9][0-9]{0,8})"


def _member(name: bytes, value: bytes) -> bytes:
    return rb'"%b"\s*:\s*%b\s*' % (name, value)


def _object(*members: bytes) -> bytes:
    return rb"\{\s*%b\}" % rb",\s*".join(members)


_NUMBERS = re.compile(
    rb'"usage"\s*:\s*\{\s*%b,\s*%b,\s*%b(?:,\s*%b,\s*%b)?\}'
    % (
        _member(b"prompt_tokens", _COUNT),
        _member(b"completion_tokens", _COUNT),
        _member(b"total_tokens", _COUNT),
        _member(
            b"prompt_tokens_details",
            _object(_member(b"cached_tokens", _COUNT), _member(b"audio_tokens", b"0")),
        ),
        _member(
            b"completion_tokens_details",
            _object(
                _member(b"reasoning_tokens", _COUNT),
                _member(b"audio_tokens", b"0"),
                _member(b"accepted_prediction_tokens", rb"(?:0|[1-9][0-9]{0,8})"),
                _member(b"rejected_prediction_tokens", rb"(?:0|[1-9][0-9]{0,8})"),
            ),
        ),
    )
)


def usual_usage(tail: bytes) -> Usage | None:
    """The usage at the end of an answer, or None where a closer look is needed."""
    at = tail.rfind(_USAGE)
    if at < 0 or (found := _NUMBERS.match(tail, at)) is None:
        return None
    given, made, total, cached, reasoning = found.groups(b"0")
    tokens_in, tokens_out = int(given), int(made)
    if tokens_in + tokens_out != int(total) or tail.find(_BILLED, found.end()) >= 0:
        return None
    if cached == b"0" == reasoning:
        return Usage(tokens_in, tokens_out)
    of_cache, of_thought = int(cached), int(reasoning)
    if of_cache > tokens_in or of_thought > tokens_out:
        return None
    return Usage(tokens_in, tokens_out, of_cache, 0, of_thought)
