"""POST audio/speech: a soft tone, one twentieth of a second for each word, as WAV or raw PCM.

Other formats would need an encoder: they get WAV, and its content type says so. The answer streams.
"""

import math
import struct

from proxy.demo.content import Content, Request
from proxy.demo.fields import parsed, unsupported

RATE = 24_000
"""Samples per second, 16 bits, one channel: what OpenAI's `pcm` is."""

_PERIOD = 60  # Samples of one wave: 400 Hz.
_WAVES_PER_WORD = RATE // _PERIOD // 20
_MOST_WORDS = 40
_PART = 4096
_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")


def speech(request: Request) -> Content:
    """Answer with sound."""
    body = parsed(request)
    body.text("model")
    text = body.text("input")
    body.needed("voice")
    form = body.text_or("response_format", "mp3")
    if form not in _FORMATS:
        raise unsupported("response_format", form, ", ".join(_FORMATS))
    if body.text_or("stream_format", "audio") != "audio":
        raise unsupported("stream_format", body.text("stream_format"), "audio")
    samples = tone(min(_MOST_WORDS, max(1, len(text.split()))))
    sound = samples if form == "pcm" else wav(samples)
    parts = tuple(sound[at : at + _PART] for at in range(0, len(sound), _PART))
    return Content(200, "audio/pcm" if form == "pcm" else "audio/wav", parts, paced=True)


def tone(words: int) -> bytes:
    """Samples for so many words, little-endian."""
    wave = (int(6000 * math.sin(2 * math.pi * x / _PERIOD)) for x in range(_PERIOD))
    return struct.pack(f"<{_PERIOD}h", *wave) * (_WAVES_PER_WORD * words)


def wav(samples: bytes) -> bytes:
    """`samples` as a RIFF file."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
    data = struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data
