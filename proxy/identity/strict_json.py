"""JSON as tokens need it: an object whose names are unique and whose numbers are finite.

Of two members with one name parsers may take the first or the last, so a token that has them could
mean one thing to us and another to its issuer (RFC 7519 §4, RFC 8725 §2.4): it is refused. The
quick parser of `base/jsonio.py` cannot tell; this one is asked once per token, not per request.
"""

import json  # noqa: TID251
from typing import Any


def strict_object(data: bytes) -> dict[str, Any]:
    """The object in `data`. Raises ValueError for everything else."""
    try:
        found = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - what is wrong is the text.
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
