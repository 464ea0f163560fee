"""POST responses: reads the request, and answers with one output item, whole or as events."""

from typing import Any

from proxy.demo.chat import ANY_OBJECT, MOST_TOKENS, tools_cost
from proxy.demo.compose import Ask, Said, Shape, say
from proxy.demo.content import CREATED, Content, Request, as_events, as_json
from proxy.demo.fields import Fields, parsed, unsupported
from proxy.demo.prompts import Prompt, input_prompt
from proxy.demo.responses_stream import events
from proxy.demo.tools import tool_to_call

_ECHOED: dict[str, Any] = {
    "instructions": None,
    "metadata": {},
    "previous_response_id": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "max_output_tokens": None,
    "parallel_tool_calls": True,
    "store": True,
}
"""Parameters that an answer repeats, and what stands there when they were not given."""


def responses(request: Request) -> Content:
    """Answer a response."""
    body = parsed(request)
    ask, prompt, form = _read(body)
    said = say(ask)
    spent = prompt.tokens + tools_cost(body)
    final = _frame(request, body, ask.model, form) | _outcome(said)
    final["output"] = [_item(request, said)]
    final["usage"] = {
        "input_tokens": spent,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": said.tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": spent + said.tokens,
    }
    return as_events(events(final)) if body.flag("stream") else as_json(final)


def _read(body: Fields) -> tuple[Ask, Prompt, dict[str, Any]]:
    model = body.text("model")
    prompt = input_prompt(body)
    shape, form = _shape(body)
    return (
        Ask(
            model=model,
            last=prompt.last,
            by_tool=prompt.by_tool,
            tool=tool_to_call(body, nested=False, asked_by_user=prompt.by_user),
            shape=shape,
            limit=body.whole("max_output_tokens", 1, MOST_TOKENS),
        ),
        prompt,
        form,
    )


def _shape(body: Fields) -> tuple[Shape | None, dict[str, Any]]:
    """What the text must fit, and the format to repeat in the answer."""
    text = body.inner("text")
    form = text.inner("format") if text is not None else None
    if form is None:
        return None, {"type": "text"}
    match form.text("type"):
        case "text":
            return None, {"type": "text"}
        case "json_object":
            return Shape(ANY_OBJECT, "text.format"), {"type": "json_object"}
        case "json_schema":
            schema = form.needed("schema")
            repeated = {
                "type": "json_schema",
                "name": form.text("name"),
                "schema": schema,
                "strict": form.flag("strict"),
            }
            return Shape(schema, "text.format.schema"), repeated
        case other:
            raise unsupported("text.format.type", other, "text, json_object, json_schema")


def _frame(request: Request, body: Fields, model: str, form: dict[str, Any]) -> dict[str, Any]:
    repeated = {
        name: default if body.get(name) is None else body.get(name)
        for name, default in _ECHOED.items()
    }
    return {
        "id": request.name("resp_"),
        "object": "response",
        "created_at": CREATED,
        "model": model,
        "error": None,
        "background": False,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "text": {"format": form, "verbosity": "medium"},
        **repeated,
    }


def _outcome(said: Said) -> dict[str, Any]:
    if said.complete:
        return {"status": "completed", "incomplete_details": None, "completed_at": CREATED}
    return {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}


def _item(request: Request, said: Said) -> dict[str, Any]:
    status = "completed" if said.complete else "incomplete"
    if said.tool is not None:
        return {
            "id": request.name("fc_"),
            "type": "function_call",
            "status": status,
            "call_id": request.name("call_"),
            "name": said.tool,
            "arguments": said.text,
        }
    part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    return {
        "id": request.name("msg_"),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [part],
    }
