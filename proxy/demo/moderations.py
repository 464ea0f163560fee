"""POST moderations: a category is flagged when its own name stands in the text."""

from typing import Any

from proxy.demo.content import Content, Request, as_json
from proxy.demo.fields import fields_of, missing, mistyped, parsed
from proxy.demo.prompts import content_text

_MOST_INPUTS = 1000
_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def moderations(request: Request) -> Content:
    """Answer with one judgement for each text."""
    body = parsed(request)
    model = body.text_or("model", "demo-moderation-1")
    given = body.get("input")
    if given is None:
        raise missing("input")
    results = [_judged(text) for text in _texts(given)]
    return as_json({"id": request.name("modr-"), "model": model, "results": results})


def _texts(given: Any) -> list[str]:
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list) or not given or len(given) > _MOST_INPUTS:
        expected = f"a string or an array of 1 to {_MOST_INPUTS} strings or parts"
        raise mistyped("input", expected, given)
    if all(isinstance(item, str) for item in given):
        return given
    # An array of parts (text, image_url) is one input and gets one judgement.
    return [content_text(fields_of({"input": given}, ""), "input")[0]]


def _judged(text: str) -> dict[str, Any]:
    lower = text.lower()
    found = {category: category in lower for category in _CATEGORIES}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": {name: 0.98 if hit else 0.001 for name, hit in found.items()},
        "category_applied_input_types": {name: ["text"] for name in found},
    }
