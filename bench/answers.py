"""What the mock vendor says: pure, all bytes prepared before they are needed.

A plan is how an answer is streamed: so many chunks, so many milliseconds apart, the first after a
delay, each with so many bytes more: `50x20`, `50x20-300`, `50x20-300b400`. It is named by the model
(`bench-stream-50x20`) or by the header `x-bench-plan`. Chunk n carries the text "00000n ", or that
in the arguments of a call where the request has tools, so that a lost, doubled or reordered chunk
is seen by whoever counts. Every frame is one chunk of HTTP's chunked coding with one event.
"""

import re
from dataclasses import dataclass

_PLAN = re.compile(rb"(\d{1,6})x(\d{1,6})(?:-(\d{1,6}))?(?:b(\d{1,6}))?$")
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
_MODEL = re.compile(rb'"model"\s*:\s*"bench-stream-([0-9xb-]+)"')

_CHUNK = (
    '{{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,'
    '"model":"bench-1","choices":[{choices}]{rest}}}'
)
_USAGE_JSON = '{"prompt_tokens":230,"completion_tokens":%d,"total_tokens":%d}'
_TEXT = (
    "The bench vendor has read the question and gives the same answer to everybody, always. " * 2
)


def json_answer(status: bytes, body: bytes, more: bytes = b"") -> bytes:
    """A whole answer of JSON."""
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
    return head % (status, len(body), more) + body


def plain_body(usage: str) -> bytes:
    """The body of an answer that is not streamed; `usage`: the member with the comma before it."""
    return _PLAIN.replace(b"%s", usage.encode())


_PLAIN = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1790000000,"model":"bench-1",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"%b","refusal":null},'
    b'"logprobs":null,"finish_reason":"stop"}]%%s,"system_fingerprint":"fp_bench"}'
) % _TEXT.encode()
CHAT_BODY = plain_body(f',"usage":{_USAGE_JSON % (40, 270)}')
"""The body of every answer that is not streamed: 0.5 kB."""

CHAT = json_answer(b"200 OK", CHAT_BODY, b"x-request-id: req_bench\r\n")
TOOLS_BODY = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1790000000,"model":"bench-1",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,'
    b'"tool_calls":[{"id":"call_bench","type":"function","function":{"name":"plan_steps",'
    b'"arguments":"{\\"steps\\":\\"000000 000001 000002 \\"}"}}]},"logprobs":null,'
    b'"finish_reason":"tool_calls"}],"usage":%b,"system_fingerprint":"fp_bench"}'
) % (_USAGE_JSON % (40, 270)).encode()
"""The same where the request has tools: one call."""

EMBEDDING_BODY = (
    b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[%b]}],'
    b'"model":"bench-1","usage":{"prompt_tokens":230,"total_tokens":230}}'
) % b",".join(b"%.8f" % (((7 * n) % 1536) / 40000 - 0.0192) for n in range(1536))
"""One vector of 1,536 numbers: 17 kB."""

TOOLS = json_answer(b"200 OK", TOOLS_BODY, b"x-request-id: req_bench\r\n")
EMBEDDING = json_answer(b"200 OK", EMBEDDING_BODY, b"x-request-id: req_bench\r\n")
TAKEN = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
"""What a collector of traces says."""
HEALTHY = json_answer(b"200 OK", b"{}")

NOT_FOUND = json_answer(
    b"404 Not Found",
    b'{"error":{"message":"The bench vendor knows chat completions and embeddings only.",'
    b'"type":"invalid_request_error","param":null,"code":"not_found"}}',
)
BAD_REQUEST = json_answer(
    b"400 Bad Request",
    b'{"error":{"message":"This is not HTTP.","type":"invalid_request_error",'
    b'"param":null,"code":null}}',
    b"Connection: close\r\n",
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\nx-request-id: req_bench\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How one answer is streamed; times in seconds."""

    chunks: int = 10
    pace: float = 0.0
    delay: float = 0.0
    more: int = 0  # Bytes beside the number, in each chunk.


DEFAULT_PLAN = Plan()


def read_plan(text: bytes) -> Plan | None:
    """`50x20-300b400` → 50 chunks, one every 20 ms, the first after 300 ms, 400 bytes more in each.

    None if it is no plan."""
    found = _PLAN.match(text)
    if found is None:
        return None
    chunks, pace, delay, more = found.groups(b"0")
    return Plan(int(chunks), int(pace) / 1000, int(delay) / 1000, int(more))


def wants_stream(body: bytes) -> bool:
    # `find` is many times faster than an expression on long prompts.
    at = body.find(b'"stream"')
    return at >= 0 and _STREAM.search(body, at) is not None


def wants_usage(body: bytes) -> bool:
    at = body.find(b'"include_usage"')
    return at >= 0 and _USAGE.search(body, at) is not None


def wants_tools(body: bytes) -> bool:
    return b'"tools":' in body


def plan_of_model(body: bytes) -> Plan:
    at = body.find(b'"model"')
    found = _MODEL.search(body, at) if at >= 0 else None
    return (found and read_plan(found[1])) or DEFAULT_PLAN


def _frame(data: str) -> bytes:
    event = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


def _chunk(delta: str, finish: str = "null", *, usage: bool = False) -> str:
    """`usage`: it was asked for, and is null until the last chunk, which says it."""
    choice = f'{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}'
    return _CHUNK.format(choices=choice, rest=',"usage":null' if usage else "")


def _text_delta(number: int, more: str) -> str:
    role = '"role":"assistant",' if number == 0 else ""
    return f'{role}"content":"{number:06d} {more}"'


def _call_delta(number: int, more: str) -> str:
    """One call whose arguments are `{"steps":"000000 000001 …"}` when all are put together."""
    if number:
        call = f'{{"index":0,"function":{{"arguments":"{number:06d} {more}"}}}}'
        return f'"tool_calls":[{call}]'
    named = f'"name":"plan_steps","arguments":"{{\\"steps\\":\\"000000 {more}"'
    call = f'{{"index":0,"id":"call_bench","type":"function","function":{{{named}}}}}'
    return f'"role":"assistant","content":null,"tool_calls":[{call}]'


class Frames:
    """The numbered frames of streams, made once and shared by all of them."""

    def __init__(self) -> None:
        self._frames: dict[tuple[int, bool, bool], list[bytes]] = {}

    def up_to(
        self, count: int, more: int = 0, *, tools: bool = False, usage: bool = False
    ) -> list[bytes]:
        """A list of at least `count` frames, each ready to be written."""
        frames = self._frames.setdefault((more, tools, usage), [])
        delta = _call_delta if tools else _text_delta
        for number in range(len(frames), count):
            frames.append(_frame(_chunk(delta(number, "." * more), usage=usage)))
        return frames


def stream_end(chunks: int, *, usage: bool, tools: bool = False) -> bytes:
    """The finish reason, usage if it was asked for, `[DONE]`, and the end of the body."""
    end = end_of_stream(_USAGE_JSON % (chunks, 230 + chunks) if usage else None, tools=tools)
    if not tools:
        return end
    closing = '"tool_calls":[{"index":0,"function":{"arguments":"\\"}"}}]'
    return _frame(_chunk(closing, usage=usage)) + end


def end_of_stream(usage: str | None, *, tools: bool = False) -> bytes:
    """The same with this usage, or none."""
    asked = usage is not None
    frames = [_frame(_chunk("", '"tool_calls"' if tools else '"stop"', usage=asked))]
    if asked:
        frames.append(_frame(_CHUNK.format(choices="", rest=f',"usage":{usage}')))
    return b"".join([*frames, _frame("[DONE]"), b"0\r\n\r\n"])
