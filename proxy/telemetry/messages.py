"""What was said, in the shape of `gen_ai.input.messages` and `gen_ai.output.messages`.

The record keeps prompts and answers as text: a request or an answer as JSON in one of OpenAI's
shapes, plain text, or either cut short. What is understood is told by role and part; anything else
is one text part, so that nothing is lost on the way. Pure, and never raises for what callers sent.
"""

from typing import Any

from proxy.base import jsonio

Message = dict[str, Any]
Said = tuple[Any, str]  # A value, and the role it has if it does not say so itself.

_CHOICE = "choice"  # No role: wraps a message and says why it ended.
_WRAPPERS = ("messages", "input", "prompt")


def input_messages(text: str) -> str:
    """The prompt, as JSON."""
    parsed = _parsed(text)
    if isinstance(parsed, dict):
        parsed = next((parsed[name] for name in _WRAPPERS if name in parsed), None)
    return _told([(each, "user") for each in _as_list(parsed)], _plain("user", text))


def output_messages(text: str) -> str:
    """The answer, as JSON."""
    parsed = _parsed(text)
    said: list[Said] = []
    if isinstance(parsed, dict):
        said += [(each, _CHOICE) for each in _as_list(parsed.get("choices"))]
        said += [(each, "assistant") for each in _as_list(parsed.get("output"))]
    return _told(said, _plain("assistant", text))


def _told(said: list[Said], otherwise: Message) -> str:
    try:
        return _json([_message(value, role) for value, role in said] or [otherwise])
    except TypeError:  # Nested deeper than can be written again.
        return _json([otherwise])


def _parsed(text: str) -> Any:
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return jsonio.loads(text)
    except jsonio.JSONError:
        return None  # Cut short, or only looked like JSON: it is told as plain text.


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _message(value: Any, role: str) -> Message:
    if not isinstance(value, dict):
        role = "assistant" if role == _CHOICE else role
        return _plain(role, value if isinstance(value, str) else _json(value))
    if role == _CHOICE:
        message = _message(value.get("message", value.get("text", "")), "assistant")
        return {**message, "finish_reason": str(value.get("finish_reason") or "")}
    said = str(value.get("role") or role)
    if said == "tool":
        result = {"type": "tool_call_response", "id": value.get("tool_call_id")}
        return {"role": said, "parts": [{**result, "response": value.get("content")}]}
    parts = [_part(each) for each in _as_list(value.get("content", value.get("text")))]
    calls = value.get("tool_calls")
    parts += [_call(each) for each in _as_list(calls) if isinstance(each, dict)]
    return {"role": said, "parts": parts or [{"type": "text", "content": _json(value)}]}


def _part(value: Any) -> Message:
    if isinstance(value, str):
        return {"type": "text", "content": value}
    if isinstance(value, dict) and isinstance(text := value.get("text"), str):
        return {"type": "text", "content": text}
    kind = value.get("type") if isinstance(value, dict) else None
    return {"type": str(kind or "data"), "content": _json(value)}


def _call(call: dict[str, Any]) -> Message:
    function = call.get("function")
    named = function if isinstance(function, dict) else {}
    part = {"type": "tool_call", "id": call.get("id"), "name": named.get("name")}
    return {**part, "arguments": named.get("arguments")}


def _plain(role: str, text: str) -> Message:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _json(value: Any) -> str:
    return jsonio.dumps(value).decode()
