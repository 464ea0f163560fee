"""What a fake vendor answers when nothing is scripted: correctly, as OpenAI would."""

from typing import Any

from proxy.base import jsonio
from tests.fakes import openai_wire as wire
from tests.fakes.script import Reply


def default_reply(method: str, target: str, body: bytes) -> Reply:
    """A correct answer; streamed if the body asks for that; 404 for what is not known."""
    path = target.partition("?")[0].removeprefix("/v1").strip("/")
    if method == "GET" and path == "models":
        return Reply(body=wire.models_body())
    fields = _fields(body)
    model = str(fields.get("model", wire.MODEL))
    match method, path:
        case "POST", "chat/completions":
            return _chat(fields, model)
        case "POST", "completions":
            if fields.get("stream"):
                return _streamed(wire.completion_events(usage=_wants_usage(fields), model=model))
            return Reply(body=wire.completion_body(model=model))
        case "POST", "responses":
            if fields.get("stream"):
                return _streamed(wire.response_events(model=model))
            return Reply(body=jsonio.dumps(wire.response_final("".join(wire.WORDS), model)))
        case "POST", "embeddings":
            return _embeddings(fields, model)
        case _:
            message = f"Invalid URL ({method} {target})"
            return Reply(status=404, body=wire.error_body(message))


def _fields(body: bytes) -> dict[str, Any]:
    try:
        value = jsonio.loads(body) if body else {}
    except jsonio.JSONError:
        return {}
    return value if isinstance(value, dict) else {}


def _wants_usage(fields: dict[str, Any]) -> bool:
    return bool((fields.get("stream_options") or {}).get("include_usage"))


def _streamed(events: list[bytes]) -> Reply:
    return Reply(headers=wire.EVENT_STREAM, chunks=events, framing="chunked")


def _chat(fields: dict[str, Any], model: str) -> Reply:
    n = fields.get("n") or 1
    if fields.get("stream"):
        return _streamed(wire.chat_events(usage=_wants_usage(fields), n=n, model=model))
    return Reply(body=wire.chat_body(model=model, n=n))


def _embeddings(fields: dict[str, Any], model: str) -> Reply:
    given = fields.get("input")
    several = isinstance(given, list) and bool(given) and not isinstance(given[0], int)
    count = len(given) if several and isinstance(given, list) else 1
    base64 = fields.get("encoding_format") == "base64"
    return Reply(body=wire.embeddings_body(count, base64=base64, model=model))
