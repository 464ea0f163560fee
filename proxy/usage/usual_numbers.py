"""The numbers of `usage` that OpenAI and all that imitate it give; any other is an error.

Apart from usual_usage.py, as that is compiled."""

from typing import Annotated

import msgspec

from proxy.wire.usage import MOST

_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]


class Given(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    cached_tokens: _Count = 0
    audio_tokens: _Count = 0


class Made(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    reasoning_tokens: _Count = 0
    audio_tokens: _Count = 0
    accepted_prediction_tokens: _Count = 0
    rejected_prediction_tokens: _Count = 0


class Numbers(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    prompt_tokens: _Count
    total_tokens: _Count
    completion_tokens: _Count = 0
    prompt_tokens_details: Given | None = None
    completion_tokens_details: Made | None = None


decode = msgspec.json.Decoder(Numbers).decode
