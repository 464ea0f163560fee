"""What the demo vendor can do: one table from method and path to a pure handler."""

import re

from proxy.demo.chat import chat
from proxy.demo.completions import completions
from proxy.demo.content import Content, Handler, Refusal, Request, refused
from proxy.demo.embeddings import embeddings
from proxy.demo.images import edits, generations
from proxy.demo.models import model, model_list
from proxy.demo.moderations import moderations
from proxy.demo.rerank import rerank
from proxy.demo.responses import responses
from proxy.demo.speech import speech
from proxy.demo.transcripts import transcribed

OPERATIONS: dict[tuple[str, str], Handler] = {
    ("POST", "chat/completions"): chat,
    ("POST", "completions"): completions,
    ("POST", "responses"): responses,
    ("POST", "embeddings"): embeddings,
    ("POST", "rerank"): rerank,
    ("POST", "moderations"): moderations,
    ("POST", "images/generations"): generations,
    ("POST", "images/edits"): edits,
    ("POST", "images/variations"): edits,
    ("POST", "audio/speech"): speech,
    ("POST", "audio/transcriptions"): transcribed,
    ("POST", "audio/translations"): transcribed,
    ("GET", "models"): model_list,
}
_VERSION = re.compile(r"/v\d(?=/)")


def path_of(target: str) -> str:
    """A request target without query, version and slashes around it."""
    path = target.partition("?")[0]
    return _VERSION.sub("", path, count=1).strip("/")


def handler_of(method: str, path: str) -> Handler | None:
    """Who answers; None when nobody does."""
    if method == "GET" and path.startswith("models/"):
        return model
    return OPERATIONS.get((method, path))


def answered(handler: Handler, request: Request) -> Content:
    """The answer of `handler`, or the error that it refuses with."""
    try:
        return handler(request)
    except Refusal as refusal:
        return refused(refusal)


def unknown(method: str, path: str) -> Content:
    """The answer to what the demo vendor cannot do: it says what it can."""
    able = ", ".join(f"{verb} /v1/{name}" for verb, name in OPERATIONS)
    return refused(
        Refusal(
            f"The demo vendor has no operation {method[:20]} /v1/{path[:80]}. It answers: {able}, "
            "GET /v1/models/{model}.",
            code="unknown_url",
            status=404,
        )
    )
