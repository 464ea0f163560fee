"""POST rerank, in the shape that Cohere, Jina and vLLM share: best document first."""

from typing import Any

from proxy.demo import tokens
from proxy.demo.content import Content, Request, as_json
from proxy.demo.fields import Fields, fields_of, missing, parsed
from proxy.demo.vectors import likeness, vector

_MOST_DOCUMENTS = 1000
_DIMENSIONS = 256


def rerank(request: Request) -> Content:
    """Answer with the documents in order of the words they share with the query."""
    body = parsed(request)
    model, query = body.text("model"), body.text("query")
    documents = _documents(body)
    wanted = body.whole("top_n", 1, 1_000_000) or len(documents)
    asked = vector(query, _DIMENSIONS)
    scores = [(1 + likeness(asked, vector(text, _DIMENSIONS))) / 2 for text in documents]
    order = sorted(range(len(documents)), key=lambda place: (-scores[place], place))[:wanted]
    results: list[dict[str, Any]] = [
        {"index": place, "relevance_score": round(min(scores[place], 1.0), 6)} for place in order
    ]
    if body.flag("return_documents"):
        for result in results:
            result["document"] = {"text": documents[result["index"]]}
    cost = tokens.count(query) + sum(map(tokens.count, documents))
    return as_json(
        {
            "id": request.name("rerank-"),
            "model": model,
            "results": results,
            "meta": {"billed_units": {"search_units": 1}},
            "usage": {"prompt_tokens": cost, "total_tokens": cost},
        }
    )


def _documents(body: Fields) -> list[str]:
    documents = body.items("documents", _MOST_DOCUMENTS)
    if documents is None:
        raise missing("documents")
    return [
        document
        if isinstance(document, str)
        else fields_of(document, f"documents[{place}]").text("text")
        for place, document in enumerate(documents)
    ]
