"""POST audio/transcriptions and audio/translations: says how large the file was.

All the formats of whisper are answered; `stream` gives text deltas. A second of sound is declared
to be 16,000 bytes and a token of it a tenth of a second.
"""

from proxy.demo import tokens
from proxy.demo.content import Content, Request, as_events, as_json, data_event
from proxy.demo.fields import missing, unsupported
from proxy.demo.multipart import File, form_of

_BYTES_PER_SECOND = 16_000
_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")


def transcribed(request: Request) -> Content:
    """Answer with the fixed transcript in the format asked for."""
    form = form_of(request)
    file = form.file("file")
    if not form.fields.get("model"):
        raise missing("model")
    wanted = form.fields.get("response_format") or "json"
    if wanted not in _FORMATS:
        raise unsupported("response_format", wanted, ", ".join(_FORMATS))
    translated = request.path.endswith("translations")
    text = f"The demo vendor {'translated' if translated else 'heard'} a file of {file.size} bytes."
    if form.fields.get("stream") == "true" and not translated:
        return _streamed(text, file)
    return _whole(text, file, wanted)


def _whole(text: str, file: File, wanted: str) -> Content:
    seconds = round(file.size / _BYTES_PER_SECOND, 3)
    end = _clock(seconds)
    match wanted:
        case "text":
            return Content(200, "text/plain; charset=utf-8", (f"{text}\n".encode(),))
        case "srt":
            told = f"1\n00:00:00,000 --> {end.replace('.', ',')}\n{text}\n\n"
            return Content(200, "text/plain; charset=utf-8", (told.encode(),))
        case "vtt":
            told = f"WEBVTT\n\n00:00:00.000 --> {end}\n{text}\n\n"
            return Content(200, "text/plain; charset=utf-8", (told.encode(),))
        case "verbose_json":
            return as_json(
                {
                    "task": "transcribe",
                    "language": "english",
                    "duration": seconds,
                    "text": text,
                    "segments": [],
                    "usage": {"type": "duration", "seconds": seconds},
                }
            )
        case _:
            return as_json({"text": text, "usage": _usage(text, file)})


def _streamed(text: str, file: File) -> Content:
    events = [{"type": "transcript.text.delta", "delta": p} for p in tokens.pieces(text)]
    last = {"type": "transcript.text.done", "text": text, "usage": _usage(text, file)}
    return as_events(data_event(event) for event in (*events, last))


def _usage(text: str, file: File) -> dict[str, object]:
    heard, said = file.size * 10 // _BYTES_PER_SECOND + 1, tokens.count(text)
    return {
        "type": "tokens",
        "input_tokens": heard,
        "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
        "output_tokens": said,
        "total_tokens": heard + said,
    }


def _clock(seconds: float) -> str:
    millis = round(seconds * 1000)
    minutes, rest = divmod(millis, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
