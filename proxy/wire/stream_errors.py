"""Events of a stream that say that there is no answer, or no more of it: OpenAI's, those that are
called `error`, responses that failed, and chunks that have an `error` besides their choices
(OpenRouter's).

An error is read and not searched for: `response.created` repeats the caller's tools and metadata,
in which anything may be called `error`.
"""

import re

from proxy.wire.continuation_sent import data_of, object_of
from proxy.wire.sse import split

_EVENT = re.compile(rb"(?:^|[\r\n])event:[ ]?error")
# What is in each of them: nearly all other events are cleared without being read.
_HINT = re.compile(rb'"error"\s*:\s*[{"]|"type"\s*:\s*"(?:error|response\.failed)"|event:[ ]?error')
_TYPES = frozenset(("error", "response.failed"))


def error_of(event: bytes) -> bytes | None:
    """The data of an event that is an error."""
    if _HINT.search(event) is None or (data := data_of(event)) is None:
        return None
    if _EVENT.search(event) is not None:
        return data
    said = object_of(data) or {}
    is_error = isinstance(said.get("error"), dict | str) and said["error"]
    return data if is_error or said.get("type") in _TYPES else None


def first_error(events: bytes) -> bytes | None:
    """The data of the first error among these events."""
    if _HINT.search(events) is None:
        return None
    found = (error_of(event) for event in split(events))
    return next((error for error in found if error is not None), None)


def data_of_error(events: bytes) -> bytes:
    """The same, of events among which there is one."""
    return first_error(events) or b"{}"
