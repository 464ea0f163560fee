"""What a request's body says of how much it asks for: caps on output, choices, members of lists.

Numbers that no request can mean are refused by name, whether anything is limited or not: whoever
lets `max_tokens: -1` or `n: 1000` pass does not know what it will cost. Lists are read shallowly.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from proxy.wire.body import Body

MOST_TOKENS: Final = 10**7
MOST_CHOICES: Final = 128  # As OpenAI's API description says of `n`.

CAPS: Final[Mapping[str, tuple[str, ...]]] = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
    "responses": ("max_output_tokens",),
}
"""The names of the cap on output, by operation. A vendor ignores those of others, and so do we."""

_CHOICES: Final = ("n", "best_of")
_MEMBERS: Final = msgspec.json.Decoder(list[msgspec.Raw])


def asked_of(body: Body, operation: str) -> tuple[int | None, int]:
    """The largest cap on the output of one choice, or None, and how many choices each prompt has.
    Read once, and again after a change. Raises BadRequest."""
    asked, given = body.asked, body.given
    if asked is None:
        cap, choices = None, 1
        if operation in CAPS:
            cap = body.largest(CAPS[operation], MOST_TOKENS)
        if "n" in given or "best_of" in given:
            choices = body.largest(_CHOICES, MOST_CHOICES) or 1
        body.asked = asked = cap, choices
    return asked


def members(text: bytes | None) -> int:
    """How many members the JSON text of a list has; 1 for anything else, 0 for nothing."""
    if text is None:
        return 0
    return len(_MEMBERS.decode(text)) if text[:1] == b"[" else 1


def prompts(text: bytes | None) -> int:
    """How many prompts the JSON text of `prompt` holds: a list of numbers is one, in tokens."""
    if text is None or text[:1] != b"[":
        return 1
    found = _MEMBERS.decode(text)
    several = bool(found) and bytes(found[0])[:1] in {b'"', b"["}
    return len(found) if several else 1
