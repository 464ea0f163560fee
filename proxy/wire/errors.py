"""Errors as OpenAI's SDKs expect them: as a body, and as the last event of a stream.

{"error": {"message": str, "type": str, "param": str | null, "code": str | null}}

Where several targets were tried, `error.provider_specific_fields.attempts` lists them in order, as
LiteLLM's clients expect it.
"""

import re

from proxy.base.errors import ProxyError
from proxy.base.jsonio import JSONError, dumps, loads
from proxy.base.redact import redact

_SPECIFIC = "provider_specific_fields"
_KEY_LIKE = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|key)-[A-Za-z0-9_*-]{6,}|\bBearer\s+[^\s\"'\\<>]+", re.IGNORECASE
)


def envelope(error: ProxyError) -> bytes:
    """The body of an error answer."""
    if error.body is not None:
        return _with_attempts(error.body, error) if error.attempts else error.body
    said: dict[str, object] = {
        "message": redact(_sendable(error.message)),  # It may quote a key in a wrong place.
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.attempts:
        said[_SPECIFIC] = {"attempts": error.attempts}
    return dumps({"error": said})


def _with_attempts(body: bytes, error: ProxyError) -> bytes:
    """A vendor's own words, and beside them what else was tried."""
    whole = loads(body)
    specific = whole["error"].get(_SPECIFIC)
    specific = specific if isinstance(specific, dict) else {}
    whole["error"][_SPECIFIC] = {**specific, "attempts": error.attempts}
    return dumps(whole)


def _sendable(words: str) -> str:
    # Header values that are not UTF-8 reach us as lone surrogates, which JSON cannot carry.
    return words if words.isascii() else words.encode("utf-8", "replace").decode()


def event(error: ProxyError) -> bytes:
    """The last event of a stream that failed. The SDKs raise on `error`; no `[DONE]` follows."""
    return b"event: error\ndata: " + envelope(error) + b"\n\n"


def is_openai_shape(body: bytes) -> bool:
    """Whether a vendor's error body already has the shape callers expect."""
    try:
        parsed = loads(body)
    except JSONError:
        return False
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return isinstance(error, dict) and isinstance(error.get("message"), str)


def message_in(body: bytes) -> str | None:
    """A vendor's own words in the shapes that are common besides OpenAI's, keys blotted out."""
    try:
        parsed = loads(body)
    except JSONError:
        return None
    if not isinstance(parsed, dict):
        return None
    for name in ("message", "error", "detail"):
        words = parsed.get(name)
        if isinstance(words, str) and words:
            return without_keys(words[:1000])
    return None


def without_keys(words: str) -> str:
    """Text with everything that looks like an API key blotted out."""
    return _KEY_LIKE.sub("***", words)


def has_key(body: bytes) -> bool:
    """Whether a body shows something that looks like an API key."""
    return _KEY_LIKE.search(body.decode("utf-8", "replace")) is not None
