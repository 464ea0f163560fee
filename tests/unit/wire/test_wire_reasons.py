"""Why vendors refuse, as they say it themselves: bodies as they document or send them."""

import pytest

from proxy.base.jsonio import dumps
from proxy.core.verdicts import verdict
from proxy.wire.reasons import reason_of, reason_of_event

TOO_LONG, FILTERED = "context_length", "content_filter"


def said(message: str, **more: object) -> dict[str, object]:
    return {"error": {"message": message, **more}}


REFUSALS: dict[str, tuple[int, object, str]] = {
    "OpenAI, context": (
        400,
        said("Your input exceeds the context window.", code="context_length_exceeded"),
        TOO_LONG,
    ),
    "OpenAI, pictures": (
        400,
        said("Your request was rejected by the safety system.", code="moderation_blocked"),
        FILTERED,
    ),
    "Azure, prompt": (
        400,
        said("The response was filtered.", type=None, param="prompt", code="content_filter"),
        FILTERED,
    ),
    "Azure, pictures": (400, said("Your task failed.", code="contentFilter"), FILTERED),
    "vLLM": (
        400,
        {"object": "error", "message": "This model's maximum context length is 4096 tokens."},
        TOO_LONG,
    ),
    "vLLM, decoder": (
        400,
        said("The decoder prompt (length 9) is longer than the maximum model length of 8."),
        TOO_LONG,
    ),
    "Mistral": (
        400,
        {"message": "Prompt contains 9 tokens, too large for model with 8 maximum context length"},
        TOO_LONG,
    ),
    "Groq": (
        400,
        said("Please reduce the length of the messages.", code="context_length_exceeded"),
        TOO_LONG,
    ),
    "Groq, minute": (
        413,
        said("Request too large for model `m`", type="tokens", code="rate_limit_exceeded"),
        "rate_limit",
    ),
    "Groq, flex": (498, said("capacity"), "overloaded"),
    "Together": (
        422,
        said("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097."),
        TOO_LONG,
    ),
    "Hugging Face": (
        422,
        {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000"},
        TOO_LONG,
    ),
    "OpenRouter, context": (
        400,
        said("This endpoint's maximum context length is 4096 tokens.", code=400),
        TOO_LONG,
    ),
    "OpenRouter, flagged": (
        403,
        said("flagged", code=403, metadata={"reasons": ["x"], "flagged_input": "…"}),
        FILTERED,
    ),
    "Gemini": (
        400,
        [said("The input token count (9) exceeds the maximum number of tokens allowed (8).")],
        TOO_LONG,
    ),
    "Anthropic": (400, said("prompt is too long: 9 tokens > 8 maximum"), TOO_LONG),
    "a forbidden key": (403, said("You do not have access."), "auth"),
    "a wrong value": (400, said("Invalid value for 'temperature'."), "refused"),
    "no JSON": (400, "<html>", "refused"),
}
EVENTS: dict[str, tuple[object, str]] = {
    "a failed response": (
        {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded"}}},
        "rate_limit",
    ),
    "of a response": ({"type": "error", "code": "server_error", "message": "m"}, "server"),
    "OpenRouter's": (said("m", code=429), "rate_limit"),
    "Anthropic's": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
        "overloaded",
    ),
    "of nothing known": ({"error": {}}, "server"),
}


@pytest.mark.parametrize(("status", "body", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_refusals(status: int, body: object, reason: str) -> None:
    assert reason_of(status, dumps(body)) == reason


@pytest.mark.parametrize(("body", "reason"), EVENTS.values(), ids=EVENTS)
def test_errors_in_streams(body: object, reason: str) -> None:
    assert reason_of_event(dumps(body)) == reason
    assert verdict(reason).trigger is not None
