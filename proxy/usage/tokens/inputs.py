"""The tokens of a request: chat, completions, embeddings, responses.

Chat by the formula of OpenAI's cookbook: three tokens a message, one a name, three that begin the
answer. Responses are counted the same way. What only the vendor can know (a conversation that it
keeps, a prompt that it stores, a file) makes the request uncountable.
"""

from collections.abc import Callable, Mapping
from typing import Any

from proxy.usage.tokens.audio import HEARD, audio_tokens
from proxy.usage.tokens.encodings import encoding_name
from proxy.usage.tokens.images import image_tokens
from proxy.usage.tokens.tally import Tally, Uncountable, an_object, objects
from proxy.usage.tokens.tools import add_schema, add_tools

_MESSAGE = 3
_NAME = 1
_ANSWER_BEGINS = 3
_AT_THE_VENDOR = ("previous_response_id", "conversation", "prompt")
_REASONING = ("reasoning_content", "reasoning")


def input_tally(operation: str, fields: dict[str, Any], model: str, most: int) -> Tally:
    """What there is to count in a request's fields. Raises Uncountable."""
    tally = Tally(most)
    _READERS[operation](tally, fields, model)
    return tally


def _chat(tally: Tally, fields: dict[str, Any], model: str) -> None:
    for message in objects(fields.get("messages")):
        _message(tally, message, model)
    tally.tokens += _ANSWER_BEGINS
    encoding = encoding_name(model)
    add_tools(tally, fields.get("tools"), encoding)
    add_tools(tally, fields.get("functions"), encoding)
    form = an_object(an_object(fields.get("response_format")).get("json_schema"))
    add_schema(tally, form.get("schema"))


def _message(tally: Tally, message: dict[str, Any], model: str) -> None:
    tally.tokens += _MESSAGE
    tally.text(message.get("role"))
    if message.get("name"):
        tally.tokens += _NAME
        tally.text(message["name"])
    _content(tally, message.get("content"), model)
    tally.text(message.get("refusal"))
    for name in _REASONING:
        tally.text(message.get(name))
    calls = [an_object(call.get("function")) for call in objects(message.get("tool_calls"))]
    for call in (*calls, an_object(message.get("function_call"))):
        tally.text(call.get("name"))
        tally.text(call.get("arguments"))


def _content(tally: Tally, content: Any, model: str) -> None:
    tally.text(content)
    if isinstance(content, list):
        for part in content:
            _part(tally, part, model)


def _part(tally: Tally, part: Any, model: str) -> None:
    if not isinstance(part, dict):
        tally.text(part)
        return
    match part.get("type"):
        case "image_url":
            given = part.get("image_url")
            image = given if isinstance(given, dict) else {"url": given}
            tally.tokens += image_tokens(model, image.get("url"), image.get("detail"))
        case "input_image":
            tally.tokens += image_tokens(model, part.get("image_url"), part.get("detail"))
        case "input_audio":
            audio = an_object(part.get("input_audio"))
            tally.audio += audio_tokens(audio.get("data"), audio.get("format"), HEARD)
        case "file" | "input_file":
            raise Uncountable("how a vendor reads a file is not known")
        case "refusal":
            tally.text(part.get("refusal"))
        case _:
            tally.text(part.get("text"))


def _responses(tally: Tally, fields: dict[str, Any], model: str) -> None:
    if any(fields.get(name) for name in _AT_THE_VENDOR):
        raise Uncountable("a part of the input is at the vendor")
    if fields.get("instructions"):
        _message(tally, {"role": "system", "content": fields["instructions"]}, model)
    given = fields.get("input")
    if isinstance(given, str):
        _message(tally, {"role": "user", "content": given}, model)
    for item in objects(given):
        _item(tally, item, model)
    tally.tokens += _ANSWER_BEGINS
    add_tools(tally, fields.get("tools"), encoding_name(model))
    add_schema(tally, an_object(an_object(fields.get("text")).get("format")).get("schema"))


def _item(tally: Tally, item: dict[str, Any], model: str) -> None:
    match item.get("type"):
        case None | "message":
            _message(tally, item, model)
        case "item_reference":
            raise Uncountable("a part of the input is at the vendor")
        case _:  # Calls and what came of them, reasoning: what they say.
            tally.tokens += _MESSAGE
            for name in ("name", "arguments", "input"):
                tally.text(item.get(name))
            _content(tally, item.get("output"), model)
            _content(tally, item.get("content"), model)


def _completions(tally: Tally, fields: dict[str, Any], _model: str) -> None:
    _prompts(tally, fields.get("prompt"))
    tally.text(fields.get("suffix"))


def _embeddings(tally: Tally, fields: dict[str, Any], _model: str) -> None:
    _prompts(tally, fields.get("input"))


def _prompts(tally: Tally, given: Any) -> None:
    """Text, tokens, or a list of either."""
    if not isinstance(given, list):
        tally.text(given)
        return
    for each in given:
        if isinstance(each, list):
            tally.tokens += len(each)
        elif isinstance(each, str):
            tally.text(each)
        else:
            tally.tokens += 1


_READERS: Mapping[str, Callable[[Tally, dict[str, Any], str], None]] = {
    "chat": _chat,
    "completions": _completions,
    "embeddings": _embeddings,
    "responses": _responses,
}
COUNTABLE = frozenset(_READERS)
"""Operations whose tokens can be counted outside the vendor."""
