"""The nearest valid name, for "did you mean"."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 128
_ALIKE = 0.6


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like `name` (case aside), or None when none is near."""
    if len(name) > _LONGEST:
        return None
    by_folded: dict[str, str] = {}
    for candidate in candidates:
        by_folded.setdefault(candidate.casefold(), candidate)
    found = get_close_matches(name.casefold(), by_folded, n=1, cutoff=_ALIKE)
    return by_folded[found[0]] if found else None
