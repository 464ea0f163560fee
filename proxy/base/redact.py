"""Takes out of a text what looks like a credential.

The last line of defence, not the first: secrets are `Secret` objects that do not print. But an
error of a vendor, a URL or a traceback may quote one. Rather one harmless word too many than one
key in a log. How a credential began stays readable, so that its owner can tell which one it was.
"""

import re

_CREDENTIALS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(\b(?:Bearer|Basic)\s+)[A-Za-z0-9+/=._~-]{4,}",
        # Named fields, in headers, JSON, YAML, URLs and Python's way to print them.
        r"(\b(?:x-)?(?:[a-z]+-)?(?:api[-_]?keys?|authorization|password|secret|"
        r"(?:access|refresh|id)_token)\b[\"']?\s*[:=,]\s*[b\"'\[]*)"
        r"(?!Bearer\b|Basic\b)[^\s\"',;&\])}]{4,}",
        r"(://[^\s/:@]*:)[^\s/@]+(?=@)",
        r"(\b(?:sk|pk|rk|gsk|xai|pplx|nvapi|hf|r8|gh[opsu]|xox[abp])[-_])[A-Za-z0-9_.-]{4,}",
        r"(\b(?:AIza|AKIA|ASIA|ya29\.|eyJ))[A-Za-z0-9_.-]{12,}",
    )
)


def redact(text: str) -> str:
    """`text` with each credential replaced by ***."""
    for credential in _CREDENTIALS:
        text = credential.sub(r"\1***", text)
    return text
