"""What a request says of itself: for whom it is made, by which agent, in which session."""

from typing import NamedTuple

from proxy.base.redact import redact

LONGEST = 128


class Labels(NamedTuple):
    """Names that callers choose; bounded, printable. `tags` holds the key's own first."""

    customer: str | None = None
    agent: str | None = None
    session: str | None = None
    tags: tuple[str, ...] = ()


NO_LABELS = Labels()


def label(text: object) -> str | None:
    """A name that a caller gave, bounded; None for what cannot be one. Keys are blotted out."""
    if not isinstance(text, str) or not (text := text.strip()) or not text.isprintable():
        return None
    return redact(text[: 4 * LONGEST])[:LONGEST]  # Half a key is not known for one.
