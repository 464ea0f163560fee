"""POST completions: the older operation, one choice for each prompt and place."""

from collections.abc import Iterator
from typing import Any

from proxy.demo import tokens
from proxy.demo.chat import MOST_CHOICES, MOST_TOKENS, stops_of, usage_wanted
from proxy.demo.compose import Ask, Said, say
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
from proxy.demo.fields import Fields, mistyped, parsed
from proxy.demo.texts import Text, texts


def completions(request: Request) -> Content:
    """Answer a text completion."""
    body = parsed(request)
    model = body.text("model")
    prompts = _prompts(body)
    copies = body.whole("n", 1, MOST_CHOICES) or 1
    if copies * len(prompts) > MOST_CHOICES:
        raise Refusal(f"Prompts times 'n' must be at most {MOST_CHOICES}.", param="n")
    limit = body.whole("max_tokens", 1, MOST_TOKENS)
    said: list[Said] = []
    for prompt in prompts:
        ask = Ask(model=model, last=prompt.words, limit=limit, stops=stops_of(body))
        said += [say(ask, choice) for choice in range(copies)]
    spoken = sum(one.tokens for one in said)
    read = sum(prompt.tokens for prompt in prompts)
    usage = {
        "prompt_tokens": read,
        "completion_tokens": spoken,
        "total_tokens": read + spoken,
    }
    base = {
        "id": request.name("cmpl-"),
        "object": "text_completion",
        "created": CREATED,
        "model": model,
    }
    echoes = [prompt.words for prompt in prompts for _ in range(copies)]
    if not body.flag("echo"):
        echoes = [""] * len(said)
    with_usage = usage_wanted(body)
    if body.flag("stream"):
        return as_events(_chunks(base, said, echoes, usage if with_usage else None))
    choices = [
        _choice(place, echo + one.text, _finish(one))
        for place, (one, echo) in enumerate(zip(said, echoes, strict=True))
    ]
    return as_json({**base, "choices": choices, "usage": usage})


def _prompts(body: Fields) -> list[Text]:
    prompt = body.get("prompt")
    if prompt is None:
        return [Text("", 0)]
    found = texts(prompt, "prompt", MOST_CHOICES)
    if not found:
        raise mistyped("prompt", "an array that is not empty", prompt)
    return found


def _finish(said: Said) -> str:
    return "stop" if said.complete else "length"


def _choice(place: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": place, "logprobs": None, "finish_reason": finish}


def _chunks(
    base: dict[str, Any], said: list[Said], echoes: list[str], usage: dict[str, Any] | None
) -> Iterator[bytes]:
    more = {} if usage is None else {"usage": None}
    for place, (one, echo) in enumerate(zip(said, echoes, strict=True)):
        for piece in tokens.pieces(echo + one.text):
            yield data_event({**base, "choices": [_choice(place, piece, None)], **more})
        yield data_event({**base, "choices": [_choice(place, "", _finish(one))], **more})
    if usage is not None:
        yield data_event({**base, "choices": [], "usage": usage})
    yield DONE
