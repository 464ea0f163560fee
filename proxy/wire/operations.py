"""Operations of OpenAI's API, and the paths they live at.

An operation that names a model is routed by it. Every other path and method below /v1 is
`PASSTHROUGH`: it goes to the provider of `passthrough` as it is. Paths may be written without /v1.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class StreamEnd(Enum):
    """How a whole event stream of an operation ends; a stream without its end was cut."""

    DONE = auto()  # `data: [DONE]` (chat, completions).
    RESPONSE = auto()  # One of the final `response.*` events (responses).
    FRAMING = auto()  # Nothing in the stream says so: HTTP's framing must.


class Medium(Enum):
    """What an operation turns into what, and so by what it is billed."""

    TEXT = auto()  # By tokens, which its bytes tell about.
    PICTURES = auto()  # By the picture, or by tokens that only the vendor can count.
    SOUND = auto()  # By length or characters, or by such tokens.


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request. `name` is the word used in records, metrics and adapters."""

    name: str
    path: str = ""  # Below /v1, with a leading slash; empty for PASSTHROUGH.
    has_model: bool = True  # The body names a model (JSON field or multipart part).
    has_usage: bool = False  # Answers must be read, for they may say what was used.
    can_ask_usage: bool = False  # Streams report usage only if `stream_options.include_usage` asks.
    stream_end: StreamEnd = StreamEnd.FRAMING
    medium: Medium = Medium.TEXT


CHAT: Final = Operation("chat", "/chat/completions", True, True, True, StreamEnd.DONE)
COMPLETIONS: Final = Operation("completions", "/completions", True, True, True, StreamEnd.DONE)
RESPONSES: Final = Operation("responses", "/responses", True, True, False, StreamEnd.RESPONSE)
EMBEDDINGS: Final = Operation("embeddings", "/embeddings", True, True)
MODERATIONS: Final = Operation("moderations", "/moderations")
IMAGES: Final = Operation("images", "/images/generations", True, True, medium=Medium.PICTURES)
IMAGE_EDITS: Final = Operation("image_edits", "/images/edits", True, True, medium=Medium.PICTURES)
IMAGE_VARIATIONS: Final = Operation(
    "image_variations", "/images/variations", True, True, medium=Medium.PICTURES
)
SPEECH: Final = Operation("speech", "/audio/speech", medium=Medium.SOUND)
TRANSCRIPTIONS: Final = Operation(
    "transcriptions", "/audio/transcriptions", True, True, medium=Medium.SOUND
)
TRANSLATIONS: Final = Operation(
    "translations", "/audio/translations", True, True, medium=Medium.SOUND
)
RERANK: Final = Operation("rerank", "/rerank", True, True)
MODELS: Final = Operation("models", "/models", has_model=False)
PASSTHROUGH: Final = Operation("passthrough", has_model=False)

WITH_MODEL: Final = (
    CHAT,
    COMPLETIONS,
    RESPONSES,
    EMBEDDINGS,
    MODERATIONS,
    IMAGES,
    IMAGE_EDITS,
    IMAGE_VARIATIONS,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    RERANK,
)

# First segments that are OpenAI's also without /v1, so that a browser asking for /favicon.ico
# is not sent on to a vendor. From the paths of OpenAI's published API description.
ROOTS: Final = frozenset(
    (
        *("assistants", "audio", "batches", "chat", "chatkit", "completions", "containers"),
        *("conversations", "embeddings", "evals", "files", "fine_tuning", "images", "models"),
        *("moderations", "organization", "projects", "realtime", "rerank", "responses", "skills"),
        *("threads", "uploads", "vector_stores", "videos"),
    )
)

_POST: Final = {prefix + op.path: (op, op.path) for op in WITH_MODEL for prefix in ("/v1", "")}


def find(method: str, path: str) -> tuple[Operation, str] | None:
    """The operation of a request and its path below /v1 (with a leading slash), or None.

    `path` is the raw path, percent-encoding kept, without the query."""
    if method == "POST" and path in _POST:
        return _POST[path]
    below = _below_v1(path)
    if below is None:
        return None
    if method == "GET" and (below == "/models" or below.startswith("/models/")):
        return MODELS, below
    return PASSTHROUGH, below


def _below_v1(path: str) -> str | None:
    if path.startswith("/v1/"):
        return path[3:] if len(path) > 4 else None
    root = path[1:].partition("/")[0]
    return path if path.startswith("/") and root in ROOTS else None
