"""The opening of a stream: what comes before its first content, held back while another vendor's
stream could still take its place.

Vendors open with an empty delta that names the role and think afterwards; some open with an
error. Neither is an answer. What shows a word, a call, a reason to finish, usage or the end is
content, and so is anything large: then all that was held goes on, and nothing is looked at any
more.
"""

import re

from proxy.wire.sse import split
from proxy.wire.stream_errors import error_of

HOLD = 64 * 1024
_CONTENT = re.compile(
    rb'"(?:content|text|delta|arguments|reasoning_content|reasoning|refusal|audio|data|b64_json|'
    rb'partial_image_b64|transcript)"\s*:\s*"[^"]|'
    rb'"(?:finish_reason|stop_reason)"\s*:\s*"|"(?:tool_calls|function_call)"\s*:\s*[\[{]|'
    rb'"usage"\s*:\s*\{|\[DONE\]|'
    rb'"type"\s*:\s*"response\.(?:completed|incomplete|cancelled|output_item\.done)"'
)


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
                if (error := error_of(event)) is not None:
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
