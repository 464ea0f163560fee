"""Words of others: the semantic conventions for generative AI, and OpenInference, as tables.

https://github.com/open-telemetry/semantic-conventions-genai (still in development) and
https://github.com/Arize-ai/openinference/blob/main/spec. Where a convention has no word for one of
our operations or vendors, ours is used, as the conventions allow.
"""

from collections.abc import Mapping

from proxy.wire.operations import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    MODELS,
    MODERATIONS,
    PASSTHROUGH,
    RERANK,
    RESPONSES,
    WITH_MODEL,
)

_OPERATIONS = {
    CHAT.name: "chat",
    RESPONSES.name: "chat",
    COMPLETIONS.name: "text_completion",
    EMBEDDINGS.name: "embeddings",
}

GEN_AI_OPERATIONS: Mapping[str, str] = {
    each.name: _OPERATIONS.get(each.name, each.name) for each in WITH_MODEL
}
"""gen_ai.operation.name of the operations that name a model; the others have none."""

ROUTES: Mapping[str, tuple[str | None, str]] = {
    **{each.name: ("POST", f"/v1{each.path}") for each in WITH_MODEL},
    MODELS.name: ("GET", "/v1/models"),
    PASSTHROUGH.name: (None, "/v1/*"),
}
"""Method and path of an operation; what passes through keeps its method to itself."""

_VENDORS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}

_KINDS = {
    EMBEDDINGS.name: "EMBEDDING",
    RERANK.name: "RERANKER",
    MODERATIONS.name: "GUARDRAIL",
}

_MODEL_NAMES = {
    "LLM": "llm.model_name",
    "EMBEDDING": "embedding.model_name",
    "RERANKER": "reranker.model_name",
}


def vendor_name(kind: str) -> str:
    """gen_ai.provider.name of one of our kinds of provider."""
    return _VENDORS.get(kind, kind)


def openinference_kind(operation: str) -> str:
    """openinference.span.kind of a call to a model."""
    return _KINDS.get(operation, "LLM" if operation in GEN_AI_OPERATIONS else "CHAIN")


def openinference_model_key(kind: str) -> str:
    """The attribute that names the model in a span of that kind."""
    return _MODEL_NAMES.get(kind, "llm.model_name")
