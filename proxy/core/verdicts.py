"""What a failed attempt leads to: one table, from the reason to what may be tried next.

| reason | the same target again | another target | a fallback model needs in `on` |
|---|---|---|---|
| connect, reset | yes | yes | error |
| server (5xx), overloaded (503, 529), busy (408, 409) | yes | yes | error |
| malformed, cut | no | yes | error |
| timeout | no: it was silent once | yes | timeout |
| rate_limit (429) | only when there is no other | yes | rate_limit |
| auth (our key: 401, 402, 403) | no | yes | error |
| absent (404) | no | yes | error |
| context_length | no | yes, of a larger window | context_length |
| content_filter | no | no | content_filter |
| refused (other 4xx) | no | no | never |
| hedged (another was quicker) | no | no | never |
"""

from typing import NamedTuple

from proxy.core.policy import Trigger


class Verdict(NamedTuple):
    """`again`: the same target; `other`: another target of the same model; `trigger`: what a
    fallback must be `on`, or None where none may follow."""

    again: bool
    other: bool
    trigger: Trigger | None


_TRANSIENT = Verdict(again=True, other=True, trigger="error")
_MOVE = Verdict(again=False, other=True, trigger="error")
_NEVER = Verdict(again=False, other=False, trigger=None)

_TABLE: dict[str, Verdict] = {
    "connect": _TRANSIENT,
    "reset": _TRANSIENT,
    "server": _TRANSIENT,
    "overloaded": _TRANSIENT,
    "busy": _TRANSIENT,
    "malformed": _MOVE,
    "cut": _MOVE,
    "auth": _MOVE,
    "absent": _MOVE,
    "timeout": Verdict(again=False, other=True, trigger="timeout"),
    "rate_limit": Verdict(again=False, other=True, trigger="rate_limit"),
    "context_length": Verdict(again=False, other=True, trigger="context_length"),
    "content_filter": Verdict(again=False, other=False, trigger="content_filter"),
}

REASONS = frozenset((*_TABLE, "refused", "hedged"))
"""All that are known."""

TARGET_AT_FAULT = frozenset(
    ("connect", "reset", "server", "overloaded", "malformed", "cut", "timeout")
)
"""Reasons that say something about the target, whatever it was asked: the breaker counts them."""


def verdict(reason: str) -> Verdict:
    """What may follow. What is not known may not be tried again."""
    return _TABLE.get(reason, _NEVER)
