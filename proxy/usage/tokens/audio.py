"""Spoken input and output as tokens, by their length: ten a second heard, twenty a second spoken.

A WAV file says how many bytes a second has. Raw samples are what OpenAI sends and takes (16 bits,
24 kHz, one channel); of compressed formats the usual rate is assumed.
"""

from math import ceil
from struct import error as TooShort
from struct import unpack_from

from proxy.usage.tokens.image_size import decoded

HEARD = 10
SPOKEN = 20
"""Tokens a second."""

_HEAD = 4096
_WAV_HEAD = 44
_SAMPLES = 48_000
_COMPRESSED = 16_000
"""Bytes a second."""


def audio_tokens(data: object, kind: object, rate: int) -> int:
    """Tokens of base64 audio in a format (`wav`, `pcm16`, `mp3`, …) at `rate` tokens a second."""
    if not isinstance(data, str) or not data:
        return 0
    size = len(data) * 3 // 4 - data[-2:].count("=")
    head = decoded(data[:_HEAD])
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        seconds = max(0, size - _WAV_HEAD) / (_bytes_a_second(head) or _SAMPLES)
    else:
        seconds = size / (_SAMPLES if kind in {"pcm16", "pcm", "wav"} else _COMPRESSED)
    return ceil(seconds * rate)


def _bytes_a_second(head: bytes) -> int | None:
    """What the `fmt ` chunk says, which need not be the first."""
    at = 12
    try:
        while head[at : at + 4] != b"fmt ":
            at += 8 + int(unpack_from("<I", head, at + 4)[0])
        return int(unpack_from("<I", head, at + 16)[0])
    except TooShort:
        return None
