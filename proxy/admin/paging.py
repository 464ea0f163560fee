"""Cursors of lists: where the last page ended, as text that means something to us only.

A cursor belongs to the list that gave it; one of another list, or one that was written by hand, is
refused. It holds nothing that its reader has not seen.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from proxy.base.errors import BadRequest
from proxy.base.jsonio import JSONError, dumps, loads

T = TypeVar("T")

Place = tuple[str | int, ...]
_LONGEST = 1024
_NUMBERS = range(2**63)


def cursor(listed: str, place: Place) -> str:
    """The cursor behind an entry of a list."""
    return base64.urlsafe_b64encode(dumps([listed, *place])).decode().rstrip("=")


def place(listed: str, text: str | None, *types: type) -> Place | None:
    """Where a cursor leads: values of these types. None without a cursor."""
    if text is None:
        return None
    try:
        padded = text[:_LONGEST] + "=" * (-len(text) % 4)
        found = loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, JSONError):
        found = None
    if (
        not isinstance(found, list)
        or len(found) != len(types) + 1
        or found[0] != listed
        or any(type(value) is not type_ for value, type_ in zip(found[1:], types, strict=True))
        or not all(map(_can_be_asked, found))
    ):
        raise BadRequest(
            "`cursor` must be the `next_cursor` of the page before, of the same list",
            param="cursor",
            code="invalid_parameter",
        )
    return tuple(found[1:])


def _can_be_asked(value: object) -> bool:
    """Whether the store can compare with it."""
    return "\0" not in value if isinstance(value, str) else value in _NUMBERS


def cut(
    rows: Sequence[T], limit: int, listed: str, end: Callable[[T], Place]
) -> tuple[Sequence[T], str | None]:
    """The rows of one page, and the cursor to the next if one row more was found."""
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    return rows, cursor(listed, end(rows[-1]))
