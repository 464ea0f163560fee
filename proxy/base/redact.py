"""Takes credentials out of a text: those that are known, and whatever looks like one.

The last line of defence, not the first: secrets are `Secret` objects that do not print. But an
error of a vendor, a URL or a traceback may quote one. Rather one harmless word too many than one
key in a log. How a credential began stays readable, so that its owner can tell which one it was;
of those that are known nothing stays.

A pattern is tried only where one of its marks stands, so an ordinary word costs a microsecond.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

_SHORTEST = 6  # A shorter secret is no secret, and would blot out ordinary words.


def _pattern(marks: str, pattern: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    return tuple(marks.split()), re.compile(pattern, re.IGNORECASE)


_CREDENTIALS = (
    _pattern("bearer basic", r"(\b(?:Bearer|Basic)\s+)[A-Za-z0-9+/=._~-]{4,}"),
    # Named fields, in headers, JSON, YAML, URLs and Python's way to print them.
    _pattern(
        "key authorization password secret _token",
        r"(\b(?:x-)?(?:[a-z]+-)?(?:api[-_]?keys?|authorization|password|secret|"
        r"(?:access|refresh|id)_token)\b[\"']?\s*[:=,]\s*(?:b?[\"'\[]+){0,2})"
        r"(?!Bearer\b|Basic\b)[^\s\"',;&\])}]{4,}",
    ),
    _pattern("://", r"(://[^\s/:@]*:)[^\s/@]+(?=@)"),
    _pattern(
        "k- k_ xai- xai_ pplx- pplx_ nvapi- nvapi_ hf- hf_ r8- r8_ gh xox",
        r"(\b(?:sk|pk|rk|gsk|xai|pplx|nvapi|hf|r8|gh[opsu]|xox[abp])[-_])[A-Za-z0-9_.-]{4,}",
    ),
    _pattern(
        "aiza akia asia ya29. eyj",
        r"(\b(?:AIza|AKIA|ASIA|ya29\.|eyJ))[A-Za-z0-9_.-]{12,}",
    ),
)


def redact(text: str) -> str:
    """`text` with each credential replaced by ***."""
    lower = text.lower()
    for marks, credential in _CREDENTIALS:
        for mark in marks:
            if mark in lower:
                text = credential.sub(r"\1***", text)
                break
    return text


class Redactor:
    """`redact`, and the secrets that this process knows, whatever they look like."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {each for secret in secrets for each in (secret, quote(secret, safe=""))}
        # The longest first: one may be the beginning of another.
        self._secrets = sorted((s for s in known if len(s) >= _SHORTEST), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "***")
        return redact(text)

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"
