"""What micro-benchmarks of streams share: chunks as OpenAI sends them, and ends of streams."""

from bench.answers import Frames, end_of_stream

_USAGE = '{"prompt_tokens":230,"completion_tokens":100,"total_tokens":330}'


def events(count: int, *, usage: bool = False) -> list[bytes]:
    """Chunks without HTTP's framing. `usage`: it was asked for, and is null so far."""
    return [_unframed(frame) for frame in Frames().up_to(count, usage=usage)[:count]]


def ending(*, usage: bool) -> bytes:
    """Finish reason, usage if wanted, and `[DONE]`."""
    framed = end_of_stream(_USAGE if usage else None).removesuffix(b"0\r\n\r\n")
    whole = b""
    while framed:
        size, _, rest = framed.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        framed = rest[int(size, 16) + 2 :]
    return whole


def _unframed(frame: bytes) -> bytes:
    return frame.partition(b"\r\n")[2].removesuffix(b"\r\n")
