"""GET models and models/{id}: the names that the demo vendor lists; others are served too."""

from typing import Any
from urllib.parse import unquote

from proxy.demo.content import CREATED, Content, Refusal, Request, as_json

NAMES = (
    "demo-1",
    "demo-embedding-1",
    "demo-image-1",
    "demo-moderation-1",
    "demo-rerank-1",
    "demo-speech-1",
    "demo-transcribe-1",
)


def model_list(_: Request) -> Content:
    """Answer with all models."""
    return as_json({"object": "list", "data": [_described(name) for name in NAMES]})


def model(request: Request) -> Content:
    """Answer with one model."""
    name = unquote(request.path.removeprefix("models/"))
    if name not in NAMES:
        raise Refusal(
            f"The model '{name[:80]}' does not exist; the demo vendor lists {', '.join(NAMES)}.",
            param="model",
            code="model_not_found",
            status=404,
        )
    return as_json(_described(name))


def _described(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "demo"}
