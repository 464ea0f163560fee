"""What OpenAI says, byte for byte as it says it: bodies and events for scripts and default replies.

Pure, and independent of `proxy.demo`, so that neither judges itself.
"""

from collections.abc import Sequence
from typing import Any

from proxy.base import jsonio

DONE = b"data: [DONE]\n\n"
CREATED = 1_741_569_952
MODEL = "gpt-4o-mini-2024-07-18"
WORDS = ("Hello", "!", " How", " can", " I", " assist", " you", " today", "?")
EVENT_STREAM = [("content-type", "text/event-stream; charset=utf-8")]


def event(value: Any, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = b"" if name is None else b"event: %b\n" % name.encode()
    return head + b"data: %b\n\n" % jsonio.dumps(value)


def chat_usage(prompt: int = 19, completion: int = 10) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def chat_body(
    text: str = "".join(WORDS), *, model: str = MODEL, n: int = 1, usage: Any = None
) -> bytes:
    """A whole chat completion, spaced as OpenAI spaces it."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text,
        "refusal": None,
        "annotations": [],
    }
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": "stop"}
        for index in range(n)
    ]
    return jsonio.dumps(
        {
            "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
            "object": "chat.completion",
            "created": CREATED,
            "model": model,
            "choices": choices,
            "usage": usage or chat_usage(),
            "service_tier": "default",
            "system_fingerprint": "fp_06737a9306",
        }
    )


def chat_events(
    *words: str,
    usage: bool = False,
    n: int = 1,
    model: str = MODEL,
    finish: str = "stop",
    done: bool = True,
) -> list[bytes]:
    """The events of a streamed chat: a role, one event per word, the finish; for each of `n`.

    `usage`: ends with a usage chunk without choices, and says `"usage":null` before it.
    """
    deltas: list[tuple[dict[str, Any], str | None]] = [
        ({"role": "assistant", "content": "", "refusal": None}, None)
    ]
    deltas += [({"content": word}, None) for word in words or WORDS]
    deltas.append(({}, finish))
    return _chunks(deltas, usage=usage, n=n, model=model, done=done)


def tool_call_events(
    name: str = "get_weather",
    *arguments: str,
    usage: bool = False,
    n: int = 1,
    model: str = MODEL,
    done: bool = True,
) -> list[bytes]:
    """The events of a streamed tool call whose arguments come in the given pieces."""
    first = {
        "index": 0,
        "id": "call_DdmO9pD3xa9XTPNJ32zg2hcA",
        "type": "function",
        "function": {"name": name, "arguments": ""},
    }
    opening = {"role": "assistant", "content": None, "tool_calls": [first], "refusal": None}
    deltas: list[tuple[dict[str, Any], str | None]] = [(opening, None)]
    for piece in arguments or ('{"', "city", '":"', "Paris", '"}'):
        call = {"index": 0, "function": {"arguments": piece}}
        deltas.append(({"tool_calls": [call]}, None))
    deltas.append(({}, "tool_calls"))
    return _chunks(deltas, usage=usage, n=n, model=model, done=done)


def _chunks(
    deltas: Sequence[tuple[dict[str, Any], str | None]],
    *,
    usage: bool,
    n: int,
    model: str,
    done: bool,
) -> list[bytes]:
    frame = {
        "id": "chatcmpl-123",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_06737a9306",
    }
    more = {"usage": None} if usage else {}
    made: list[bytes] = []
    for delta, finish in deltas:
        for index in range(n):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
            made.append(event({**frame, "choices": [choice], **more}))
    if usage:
        spoken = n * (len(deltas) - 1)
        made.append(event({**frame, "choices": [], "usage": chat_usage(19, spoken)}))
    return [*made, DONE] if done else made


def error_body(
    message: str, type_: str = "invalid_request_error", code: str | None = None
) -> bytes:
    """An error as OpenAI sends it: indented, with a line feed at the end."""
    error = {"message": message, "type": type_, "param": None, "code": code}
    return jsonio.pretty({"error": error}) + b"\n"


def completion_body(text: str = "This is a test.", model: str = MODEL) -> bytes:
    return jsonio.dumps(
        {
            "id": "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
            "object": "text_completion",
            "created": CREATED,
            "model": model,
            "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9},
        }
    )


def completion_events(*words: str, usage: bool = False, model: str = MODEL) -> list[bytes]:
    frame = {
        "id": "cmpl-123",
        "object": "text_completion",
        "created": CREATED,
        "model": model,
    }
    more = {"usage": None} if usage else {}
    pairs = [(word, None) for word in words or WORDS] + [("", "stop")]
    made = [
        event(
            {
                **frame,
                "choices": [{"text": t, "index": 0, "logprobs": None, "finish_reason": f}],
                **more,
            }
        )
        for t, f in pairs
    ]
    if usage:
        spent = {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
        made.append(event({**frame, "choices": [], "usage": spent}))
    return [*made, DONE]


def embeddings_body(inputs: int = 1, *, base64: bool = False, model: str = MODEL) -> bytes:
    """Vectors of two numbers: 1.0 and -0.5."""
    vector: Any = "AACAPwAAAL8=" if base64 else [1.0, -0.5]
    return jsonio.dumps(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector}
                for index in range(inputs)
            ],
            "model": model,
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        }
    )


def models_body(*names: str) -> bytes:
    data = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "system"}
        for name in names or ("gpt-4o-mini", "text-embedding-3-small")
    ]
    return jsonio.dumps({"object": "list", "data": data})


def response_final(text: str, model: str = MODEL) -> dict[str, Any]:
    """A finished response object."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "id": "resp_67ccd2bed1ec8190",
        "object": "response",
        "created_at": CREATED,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": model,
        "output": [
            {
                "type": "message",
                "id": "msg_67ccd2bf17f08190",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 36,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 10,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 46,
        },
        "metadata": {},
    }


def response_events(*words: str, model: str = MODEL) -> list[bytes]:
    """The events of a streamed response: named, numbered, without [DONE]."""
    told = words or WORDS
    final = response_final("".join(told), model)
    begun = final | {"status": "in_progress", "output": [], "usage": None}
    item: dict[str, Any] = final["output"][0]
    part: dict[str, Any] = item["content"][0]
    where = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    bare = item | {"status": "in_progress", "content": []}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("created", {"response": begun}),
        ("in_progress", {"response": begun}),
        ("output_item.added", {"output_index": 0, "item": bare}),
        ("content_part.added", {**where, "part": part | {"text": ""}}),
    ]
    steps += [("output_text.delta", {**where, "delta": word, "logprobs": []}) for word in told]
    steps += [
        ("output_text.done", {**where, "text": part["text"], "logprobs": []}),
        ("content_part.done", {**where, "part": part}),
        ("output_item.done", {"output_index": 0, "item": item}),
        ("completed", {"response": final}),
    ]
    return [
        event({"type": f"response.{kind}", "sequence_number": number, **fields}, f"response.{kind}")
        for number, (kind, fields) in enumerate(steps)
    ]
