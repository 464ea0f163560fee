"""What a request may say of itself and of what it wishes: header fields of ours, and the members of
a JSON body that say the same.

`middleware/labels.py` reads who it is for, `routing/wishes.py` what is wished. Nearly all requests
say nothing of either, and that is found out once.
"""

LABELS = ("customer", "agent", "session", "tags")
WISHES = (
    *("max_cost", "max_latency", "min_quality", "fallbacks", "provider", "residency", "region"),
    "tier",
)


def field(name: str) -> str:
    """The header field of a label or a wish."""
    return f"x-llm-proxy-{name.replace('_', '-')}"


FIELDS = tuple(map(field, LABELS + WISHES))
MEMBERS = frozenset(("user", "metadata"))
