"""From the bytes of a request and its answer to their `Usage`: what the thread does.

Bounded before anything dear is done: bodies by their length, text by `MOST_TEXT`. Only a request
that carries pictures or speech may be longer, since their base64 is measured and not encoded.
"""

from dataclasses import dataclass

from proxy.base.jsonio import JSONError, loads
from proxy.usage.tokens.encodings import Encodings, encoding_name
from proxy.usage.tokens.inputs import input_tally
from proxy.usage.tokens.outputs import output_said
from proxy.usage.tokens.tally import Uncountable
from proxy.wire.record import Usage

MOST_TEXT = 1024 * 1024
MOST_BODY = 8 * MOST_TEXT
_MEDIA = b"base64,", b'"input_audio"'


@dataclass(frozen=True, slots=True)
class Job:
    """One answer to count, and what was asked."""

    operation: str
    model: str  # The vendor's name.
    request: bytes
    answer: bytes
    streamed: bool

    @property
    def too_large(self) -> bool:
        """Whether it is not worth a look."""
        return len(self.request) > MOST_BODY or len(self.answer) > MOST_BODY


def count_tokens(job: Job, encodings: Encodings) -> Usage | None:
    """Count, or None where nobody outside the vendor could. For a thread. Raises NoRanks."""
    if len(job.request) > MOST_TEXT and not any(mark in job.request for mark in _MEDIA):
        return None
    try:
        fields = loads(job.request)
        given = input_tally(job.operation, fields, job.model, MOST_TEXT)
        made = output_said(job.operation, job.answer, MOST_TEXT, streamed=job.streamed)
    except (Uncountable, JSONError):
        return None  # The estimate stays.
    encoding = encodings.get(encoding_name(job.model))
    hidden = made.hidden.total(encoding)
    return Usage(
        input=given.total(encoding),
        output=made.text.total(encoding) + hidden,
        reasoning=hidden,
        audio_in=given.audio,
        audio_out=made.text.audio,
    )
