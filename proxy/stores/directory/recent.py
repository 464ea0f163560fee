"""A bounded memory: what was used last stays, as far as there is room.

Bounded twice, by the number of entries and by their weight, so that few large ones cannot take more
memory than many small ones may.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class _Entry(NamedTuple, Generic[V]):
    value: V
    weight: int


class Recent(Generic[K, V]):
    """The values used last."""

    __slots__ = ("_entries", "_most", "_room", "_weight")

    def __init__(self, most: int, room: int) -> None:
        """`most` entries, of a weight of `room` in all."""
        self._most = most
        self._room = room
        self._weight = 0
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, which then is the one used last."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry.value

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep a value; those used longest ago make room."""
        self.drop(key)
        self._entries[key] = _Entry(value, weight)
        self._weight += weight
        while self._entries and (len(self._entries) > self._most or self._weight > self._room):
            _, entry = self._entries.popitem(last=False)
            self._weight -= entry.weight

    def drop(self, key: K) -> None:
        """Forget a value, if it is here."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= entry.weight

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._weight = 0

    def items(self) -> Iterator[tuple[K, V]]:
        """Keys and values, the one used last at the end."""
        for key, entry in self._entries.items():
            yield key, entry.value
