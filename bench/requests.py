"""The requests of the load generator, prepared as bytes before the first is sent."""

from dataclasses import dataclass

from bench.verdict import PlainVerdict, StreamVerdict
from proxy.base.jsonio import dumps

WORDS = "Explain in plain words how a reverse proxy decides where a request goes, and why. "


@dataclass(frozen=True, slots=True)
class Request:
    """One prepared request and what its answer is judged by.

    `chunks`: None for an answer that is not streamed. `length`: the body's due length, None: any.
    """

    data: bytes
    chunks: int | None = None
    length: int | None = None

    def verdict(self) -> PlainVerdict | StreamVerdict:
        if self.chunks is not None:
            return StreamVerdict(self.chunks)
        return PlainVerdict(self.length)


def chat_body(kilobytes: int, model: str, *, stream: bool) -> bytes:
    """A chat request of exactly so many kilobytes (1 kB = 1,000 bytes)."""
    size = kilobytes * 1000

    def body(text: str) -> bytes:
        messages = [
            {"role": "system", "content": "You are a patient teacher."},
            {"role": "user", "content": text},
        ]
        asked = {"model": model, "messages": messages, "temperature": 0.7, "max_tokens": 512}
        return dumps({**asked, "stream": True} if stream else asked)

    room = size - len(body(""))
    return body((WORDS * (room // len(WORDS) + 1))[:room])


def post(host: str, path: str, key: str, body: bytes) -> bytes:
    """The bytes of a POST with the headers that an SDK needs."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nUser-Agent: llm-proxy-bench\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def stream_model(chunks: int, pace_ms: int, delay_ms: int = 0) -> str:
    """The model name that makes the mock vendor stream so (see `answers.py`)."""
    return f"bench-stream-{chunks}x{pace_ms}" + (f"-{delay_ms}" if delay_ms else "")
