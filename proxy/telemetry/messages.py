"""What was said, in the shape of `gen_ai.input.messages`, `gen_ai.output.messages` and
`gen_ai.system_instructions`: JSON, as the schemas of the semantic conventions ask.

The record keeps prompts and answers as text: a request or an answer as JSON in one of OpenAI's
shapes, plain text, or either cut short. What is understood is told by role and part; anything else
is one text part, so that nothing is lost on the way. Pure, and never raises for what callers sent.
"""

from typing import Any

from proxy.base import jsonio

Message = dict[str, Any]
Said = tuple[Any, str]  # A value, and the role it has if it does not say so itself.

_CHOICE = "choice"  # No role: wraps a message and says why it ended.
_REASONS = {"tool_calls": "tool_call", "function_call": "tool_call"}  # The conventions' words.
_WRAPPERS = ("messages", "input", "prompt")


def input_messages(text: str) -> str:
    """The prompt, as JSON."""
    parsed = _parsed(text)
    if isinstance(parsed, dict):
        parsed = next((parsed[name] for name in _WRAPPERS if name in parsed), None)
    return _told([(each, "user") for each in _as_list(parsed)], _plain("user", text))


def system_instructions(text: str) -> str | None:
    """What a prompt has of instructions beside its messages, as JSON parts."""
    parsed = _parsed(text)
    given = parsed.get("instructions") if isinstance(parsed, dict) else None
    return _json([{"type": "text", "content": given}]) if given and isinstance(given, str) else None


def output_messages(text: str) -> str:
    """The answer, as JSON; every message says why it ended, as far as that is known."""
    parsed = _parsed(text)
    said: list[Said] = []
    if isinstance(parsed, dict):
        said += [(each, _CHOICE) for each in _as_list(parsed.get("choices"))]
        said += [(each, "assistant") for each in _as_list(parsed.get("output"))]
    return _told(said, _plain("assistant", text), ended=True)


def _told(said: list[Said], otherwise: Message, *, ended: bool = False) -> str:
    messages = [otherwise]
    try:
        found = [_message(value, role) for value, role in said] or messages
        return _json([_with_reason(each) for each in found] if ended else found)
    except TypeError:  # Nested deeper than can be written again.
        return _json([_with_reason(each) for each in messages] if ended else messages)


def _with_reason(message: Message) -> Message:
    parts = message["parts"]
    calls = any(part["type"] == "tool_call" for part in parts)
    return {**message, "finish_reason": message.get("finish_reason", "tool_call" if calls else "")}


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
        reason = str(value.get("finish_reason") or "")
        return {**message, "finish_reason": _REASONS.get(reason, reason)}
    if (item := _ITEMS.get(str(value.get("type")))) is not None:
        return item(value)
    said = str(value.get("role") or role)
    if said == "tool":
        result = {"type": "tool_call_response", "id": value.get("tool_call_id")}
        return {"role": said, "parts": [{**result, "response": value.get("content")}]}
    thoughts = value.get("reasoning_content")
    parts = [_thought(thoughts)] if thoughts and isinstance(thoughts, str) else []
    parts += [_part(each) for each in _as_list(value.get("content", value.get("text")))]
    refusal = value.get("refusal")
    parts += [{"type": "text", "content": refusal}] if isinstance(refusal, str) else []
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


def _called(item: Message) -> Message:
    """A call of a function, as an item of a response."""
    part = {"type": "tool_call", "id": item.get("call_id"), "name": item.get("name")}
    return {"role": "assistant", "parts": [{**part, "arguments": item.get("arguments")}]}


def _result(item: Message) -> Message:
    part = {"type": "tool_call_response", "id": item.get("call_id")}
    return {"role": "tool", "parts": [{**part, "response": item.get("output")}]}


def _reasoned(item: Message) -> Message:
    told = [each.get("text") for each in _as_list(item.get("summary")) if isinstance(each, dict)]
    parts = [_thought(text) for text in told if isinstance(text, str)]
    return {"role": "assistant", "parts": parts or [_part(item)]}


def _thought(text: str) -> Message:
    return {"type": "reasoning", "content": text}


_ITEMS = {
    "function_call": _called,
    "custom_tool_call": _called,
    "function_call_output": _result,
    "custom_tool_call_output": _result,
    "reasoning": _reasoned,
}


def _plain(role: str, text: str) -> Message:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _json(value: Any) -> str:
    return jsonio.dumps(value).decode()
