"""POST embeddings: numbers or base64 of little-endian float32, as OpenAI gives them."""

import base64
import struct
from typing import Any

from proxy.demo.content import Content, Refusal, Request, as_json
from proxy.demo.fields import missing, mistyped, parsed, unsupported
from proxy.demo.texts import texts
from proxy.demo.vectors import vector

DEFAULT_DIMENSIONS = 256
MOST_DIMENSIONS = 3072
_MOST_INPUTS = 2048
_MOST_NUMBERS = 1 << 20
"""Inputs times dimensions: one request must not hold the loop for long."""

_MOST_TOKENS = 300_000


def embeddings(request: Request) -> Content:
    """Answer with one vector for each input."""
    body = parsed(request)
    model = body.text("model")
    given = body.get("input")
    if given is None:
        raise missing("input")
    inputs = texts(given, "input", _MOST_INPUTS)
    if not inputs:
        raise mistyped("input", "an array that is not empty", given)
    dimensions = body.whole("dimensions", 1, MOST_DIMENSIONS) or DEFAULT_DIMENSIONS
    form = body.text_or("encoding_format", "float")
    if form not in {"float", "base64"}:
        raise unsupported("encoding_format", form, "float, base64")
    cost = sum(text.tokens for text in inputs)
    if len(inputs) * dimensions > _MOST_NUMBERS or cost > _MOST_TOKENS:
        raise Refusal("Too much input for one request of the demo vendor.", param="input")
    data = [
        {"object": "embedding", "index": place, "embedding": _written(text.words, dimensions, form)}
        for place, text in enumerate(inputs)
    ]
    usage = {"prompt_tokens": cost, "total_tokens": cost}
    return as_json({"object": "list", "data": data, "model": model, "usage": usage})


def _written(words: str, dimensions: int, form: str) -> Any:
    numbers = vector(words, dimensions)
    if form == "float":
        return numbers
    return base64.b64encode(struct.pack(f"<{dimensions}f", *numbers)).decode()
