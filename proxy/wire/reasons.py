"""Why a vendor refused, from its status and its words: the reasons that core/verdicts.py knows.

Codes of OpenAI (https://platform.openai.com/docs/guides/error-codes), of Azure's content filter,
and what servers that speak the same format say in their messages instead.
"""

import re

from proxy.base.jsonio import JSONError, loads

_CODES = {
    "context_length_exceeded": "context_length",
    "string_above_max_length": "context_length",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "moderation_blocked": "content_filter",  # OpenAI's pictures.
    "contentFilter": "content_filter",  # Azure's.
    "rate_limit_exceeded": "rate_limit",
    "insufficient_quota": "rate_limit",
    "tokens_exceeded": "rate_limit",
    "server_error": "server",
    "overloaded_error": "overloaded",
    "engine_overloaded": "overloaded",
}
_TYPES = {
    "rate_limit_error": "rate_limit",
    "insufficient_quota": "rate_limit",
    "overloaded_error": "overloaded",
    "server_error": "server",
    "api_error": "server",
    "authentication_error": "auth",
}
_STATUSES = {
    401: "auth",
    402: "auth",
    403: "auth",
    404: "absent",
    408: "busy",
    409: "busy",
    429: "rate_limit",
    498: "overloaded",  # Groq, of its flex tier.
    503: "overloaded",
    529: "overloaded",
}
_FLAGGED = b'"flagged_input"'  # OpenRouter's 403 says so of a prompt; others refuse our key.
_TOO_LONG = re.compile(
    r"maximum context length|context[ _](?:length|window|size)|prompt is too long|"
    r"too many (?:input )?tokens|input is too long|exceeds? the (?:model'?s )?(?:maximum )?context|"
    # vLLM, Gemini, and what Hugging Face's server and Together say of `inputs`.
    r"maximum model length|exceeds the maximum number of (?:input )?tokens|"
    r"`inputs` (?:must have less than|tokens \+)",
    re.IGNORECASE,
)


def reason_of(status: int, body: bytes) -> str:
    """The reason of an answer of status 400 or above."""
    if status in {400, 413, 422}:
        code, kind, message = _said(body)
        found = _CODES.get(code) or _CODES.get(kind)
        if found in {"context_length", "content_filter"}:
            return found
        if found == "rate_limit" and status == 413:
            return found  # Groq: more tokens at once than there are in a minute.
        return "context_length" if _TOO_LONG.search(message) else "refused"
    if status == 403 and _FLAGGED in body:
        return "content_filter"
    return _STATUSES.get(status) or ("server" if status >= 500 else "refused")


def reason_of_event(body: bytes) -> str:
    """The reason of an error that a stream brings in place of an answer, where no status tells."""
    code, kind, message = _said(body)
    found = _CODES.get(code) or _CODES.get(kind) or _TYPES.get(kind)
    if found is None and code.isdigit():
        found = _STATUSES.get(int(code))
    if found is None and _TOO_LONG.search(message):
        found = "context_length"
    return found or "server"


def _said(body: bytes) -> tuple[str, str, str]:
    """Code, type and message; empty where they are not said."""
    try:
        parsed = loads(body)
    except JSONError:
        return "", "", ""
    if isinstance(parsed, list) and len(parsed) == 1:
        parsed = parsed[0]  # Gemini's.
    if not isinstance(parsed, dict):
        return "", "", ""
    error = parsed.get("error")
    if error is None and isinstance(response := parsed.get("response"), dict):
        error = response.get("error")  # Of `response.failed`.
    said = error if isinstance(error, dict) else parsed
    code, kind, message = said.get("code"), said.get("type"), said.get("message")
    return (
        "" if code is None else str(code),
        kind if isinstance(kind, str) else "",
        message if isinstance(message, str) else str(error or "")[:1000],
    )
