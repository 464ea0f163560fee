"""A table that cannot grow past its size: what would is counted in one common place.

Keys are tuples of label values. The place of the rest is part of the size, so a full table has
`size` entries, the common one included.
"""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

OTHER = "other"
NONE = "none"

T = TypeVar("T")
Key = tuple[str, ...]


class Bounded(Generic[T]):
    """Entries by key, made on demand. `folded` counts what found no place of its own."""

    __slots__ = ("_entries", "_make", "_size", "_width", "folded")

    def __init__(self, make: Callable[[], T], *, width: int, size: int) -> None:
        self._make = make
        self._entries: dict[Key, T] = {}
        self._width = width
        self._size = max(1, size)
        self.folded = 0

    def at(self, key: Key, times: int = 1) -> T:
        """The entry of a key, or the common one. `times`: how often something is counted there."""
        entry = self._entries.get(key)
        return self._open(key, times) if entry is None else entry

    def __len__(self) -> int:
        return len(self._entries)

    def items(self) -> Iterator[tuple[Key, T]]:
        return iter(self._entries.items())

    def keep(self, wanted: Callable[[Key], bool]) -> None:
        """Drop the entries whose key is not wanted any more; the common one stays."""
        rest = self._rest()
        self._entries = {
            key: entry for key, entry in self._entries.items() if key == rest or wanted(key)
        }

    def _open(self, key: Key, times: int) -> T:
        rest = self._rest()
        free = self._size - len(self._entries) - (rest not in self._entries)
        if key != rest and free <= 0:
            self.folded += times
            key = rest
        return self._entries.setdefault(key, self._make())

    def _rest(self) -> Key:
        return (OTHER,) * self._width
