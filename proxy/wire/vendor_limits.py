"""What a vendor's `x-ratelimit-*` fields say when nothing is left, in OpenAI's formats.

    x-ratelimit-remaining-requests: 0      x-ratelimit-reset-requests: 1s, 6m0s, 20ms, 1h2m3.5s, 12
    x-ratelimit-remaining-tokens: 0        x-ratelimit-reset-tokens: …

The usual answer has something left: then nothing but the values is looked at.
"""

import re
from collections.abc import Sequence

_REMAINING = b"x-ratelimit-remaining-"
_RESET = b"x-ratelimit-reset-"
_SECONDS = {b"d": 86400.0, b"h": 3600.0, b"m": 60.0, b"s": 1.0, b"ms": 0.001, b"us": 1e-6}
_PART = re.compile(rb"(\d{1,9}(?:\.\d{1,9})?)(ms|us|d|h|m|s)")
_DURATION = re.compile(rb"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|us|d|h|m|s)){1,6}")
_NUMBER = re.compile(rb"\d{1,9}(?:\.\d{1,9})?")


def exhausted(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """Seconds until there is something left again of all that has run out; None: nothing has, or
    the vendor does not say until when in a way that can be read."""
    for name, value in headers:
        if value == b"0" and name.lower().startswith(_REMAINING):
            return _longest(headers)
    return None


def _longest(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    said = {name.lower(): value.strip() for name, value in headers}
    resets = [
        seconds(said.get(_RESET + name[len(_REMAINING) :], b""))
        for name, value in said.items()
        if value == b"0" and name.startswith(_REMAINING)
    ]
    known = [reset for reset in resets if reset]
    return max(known) if known else None


def seconds(text: bytes) -> float | None:
    """A duration as vendors write it; None: it is none."""
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
