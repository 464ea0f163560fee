"""POST chat/completions: reads the request, and answers whole or as a stream of chunks."""

from collections.abc import Iterator
from typing import Any

from proxy.base import jsonio
from proxy.demo import tokens
from proxy.demo.compose import Ask, Said, Shape, say
from proxy.demo.content import (
    CREATED,
    DONE,
    Content,
    Refusal,
    Request,
    as_events,
    as_json,
    data_event,
)
from proxy.demo.fields import Fields, missing, mistyped, parsed, unsupported
from proxy.demo.prompts import Prompt, chat_prompt
from proxy.demo.tools import tool_to_call

MOST_CHOICES = 128
MOST_TOKENS = 1_000_000
ANY_OBJECT = {
    "type": "object",
    "properties": {"vendor": {"const": "demo"}, "message": {"type": "string"}},
}


def chat(request: Request) -> Content:
    """Answer a chat completion."""
    body = parsed(request)
    ask, prompt = _read(body)
    choices = body.whole("n", 1, MOST_CHOICES) or 1
    said = [say(ask, choice) for choice in range(choices)]
    usage = _usage(prompt.tokens + tools_cost(body), said)
    base = {
        "id": request.name("chatcmpl-"),
        "object": "chat.completion",
        "created": CREATED,
        "model": ask.model,
    }
    with_usage = usage_wanted(body)
    if body.flag("stream"):
        return as_events(_chunks(base, said, usage if with_usage else None))
    return as_json(
        {
            **base,
            "choices": [_choice(request, place, one) for place, one in enumerate(said)],
            "usage": usage,
            "service_tier": "default",
            "system_fingerprint": "fp_demo",
        }
    )


def usage_wanted(body: Fields) -> bool:
    """Whether a stream ends with a chunk of usage; refuses stream options without a stream."""
    options = body.inner("stream_options")
    if options is None:
        return False
    if not body.flag("stream"):
        raise Refusal(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    return options.flag("include_usage")


def stops_of(body: Fields) -> tuple[str, ...]:
    """The stop sequences: a string or up to four."""
    stop = body.get("stop")
    if stop is None or isinstance(stop, str):
        return (stop,) if stop else ()
    stops = body.items("stop", 4) or []
    for one in stops:
        if not isinstance(one, str):
            raise mistyped("stop", "a string or an array of strings", one)
    return tuple(one for one in stops if one)


def tools_cost(body: Fields) -> int:
    """The tokens of the offered tools."""
    tools = body.get("tools")
    return tokens.count(jsonio.dumps(tools).decode()) if tools else 0


def _read(body: Fields) -> tuple[Ask, Prompt]:
    model = body.text("model")
    prompt = chat_prompt(body)
    limit = body.whole("max_completion_tokens", 1, MOST_TOKENS)
    older = body.whole("max_tokens", 1, MOST_TOKENS)
    tool = tool_to_call(body, nested=True, asked_by_user=prompt.by_user)
    return (
        Ask(
            model=model,
            last=prompt.last,
            by_tool=prompt.by_tool,
            tool=tool,
            shape=_shape(body),
            limit=older if limit is None else limit,
            stops=stops_of(body),
        ),
        prompt,
    )


def _shape(body: Fields) -> Shape | None:
    form = body.inner("response_format")
    if form is None:
        return None
    match form.text("type"):
        case "text":
            return None
        case "json_object":
            return Shape(ANY_OBJECT, "response_format")
        case "json_schema":
            inner = form.inner("json_schema")
            if inner is None:
                raise missing("response_format.json_schema")
            inner.text("name")
            schema = inner.get("schema")
            return Shape(ANY_OBJECT if schema is None else schema, inner.path("schema"))
        case other:
            raise unsupported("response_format.type", other, "text, json_object, json_schema")


def _finish(said: Said) -> str:
    if not said.complete:
        return "length"
    return "stop" if said.tool is None else "tool_calls"


def _call(identifier: str, said: Said) -> dict[str, Any]:
    return {
        "id": identifier,
        "type": "function",
        "function": {"name": said.tool, "arguments": said.text},
    }


def _choice(request: Request, place: int, said: Said) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": said.text if said.tool is None else None,
        "refusal": None,
        "annotations": [],
    }
    if said.tool is not None:
        message["tool_calls"] = [_call(request.name(f"call_{place}_"), said)]
    return {
        "index": place,
        "message": message,
        "logprobs": None,
        "finish_reason": _finish(said),
    }


def _usage(prompt: int, said: list[Said]) -> dict[str, Any]:
    completion = sum(one.tokens for one in said)
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


def _chunks(
    base: dict[str, Any], said: list[Said], usage: dict[str, Any] | None
) -> Iterator[bytes]:
    """The choices side by side, word by word; with `usage` a last chunk that has no choices."""
    frame = {
        **base,
        "object": "chat.completion.chunk",
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }
    more = {} if usage is None else {"usage": None}
    streams = [list(_deltas(base["id"], place, one)) for place, one in enumerate(said)]
    for turn in range(max(map(len, streams))):
        for place, deltas in enumerate(streams):
            if turn < len(deltas):
                delta, finish = deltas[turn]
                choice = {
                    "index": place,
                    "delta": delta,
                    "logprobs": None,
                    "finish_reason": finish,
                }
                yield data_event({**frame, "choices": [choice], **more})
    if usage is not None:
        yield data_event({**frame, "choices": [], "usage": usage})
    yield DONE


def _deltas(name: str, place: int, said: Said) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The deltas of one choice, each with its finish reason."""
    opening: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    if said.tool is None:
        yield opening | {"content": ""}, None
        for piece in tokens.pieces(said.text):
            yield {"content": piece}, None
    else:
        identifier = name.replace("chatcmpl-", f"call_{place}_")
        first = _call(identifier, said)
        first["function"]["arguments"] = ""
        yield opening | {"tool_calls": [{"index": 0, **first}]}, None
        for piece in tokens.pieces(said.text):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, None
    yield {}, _finish(said)
