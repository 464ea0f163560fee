"""The opening of a stream: what comes before its first content, held back while another vendor's
stream could still take its place.

Vendors open with an empty delta that names the role and think afterwards; some open with an
error. Neither is an answer. What shows a word, a call, a reason to finish, usage or the end is
content, and so is anything large: then all that was held goes on, and nothing is looked at any
more. An error is read and not searched for: `response.created` repeats the caller's tools and
metadata, in which anything may be called `error`.
"""

import re

from proxy.wire.continuation_sent import data_of, object_of
from proxy.wire.sse import split

HOLD = 64 * 1024
_CONTENT = re.compile(
    rb'"(?:content|text|delta|arguments|reasoning_content|reasoning|refusal|audio|data|b64_json|'
    rb'partial_image_b64|transcript)"\s*:\s*"[^"]|'
    rb'"(?:finish_reason|stop_reason)"\s*:\s*"|"(?:tool_calls|function_call)"\s*:\s*[\[{]|'
    rb'"usage"\s*:\s*\{|\[DONE\]|'
    rb'"type"\s*:\s*"response\.(?:completed|incomplete|cancelled|output_item\.done)"'
)
_ERROR_EVENT = re.compile(rb"(?:^|[\r\n])event:[ ]?error")
_ERROR_TYPES = frozenset(("error", "response.failed"))


class Opening:
    """Holds whole events until the first that says something."""

    __slots__ = ("_held", "_size", "error")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0
        self.error: bytes | None = None  # The data of the error that came in place of an answer.

    def feed(self, events: bytes) -> bytes:
        """What may go on: nothing until there is content, then all. Whole events only."""
        self._held.append(events)
        self._size += len(events)
        if b"error" in events or b"failed" in events:
            for event in split(events):
                if (error := _error_of(event)) is not None:
                    self.error = error
                    return b""
                if _CONTENT.search(event) is not None:
                    return self.finish()
        if _CONTENT.search(events) is None and self._size < HOLD:
            return b""
        return self.finish()

    def finish(self) -> bytes:
        """All that is held."""
        held = b"".join(self._held)
        self._held.clear()
        return held


def data_of_error(events: bytes) -> bytes:
    """The data of the error among these events."""
    found = (_error_of(event) for event in split(events))
    return next((error for error in found if error is not None), b"{}")


def _error_of(event: bytes) -> bytes | None:
    """The data of an event that says that there is no answer, or no more of it."""
    data = data_of(event)
    if data is None:
        return None
    if _ERROR_EVENT.search(event) is not None:
        return data
    said = object_of(data) or {}
    is_error = isinstance(said.get("error"), dict | str) and said["error"]
    return data if is_error or said.get("type") in _ERROR_TYPES else None
