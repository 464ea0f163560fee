"""A string that cannot be printed by accident."""

import hashlib
from typing import final


@final
class Secret:
    """A key or password. `str` and `repr` show nothing; `reveal()` is easy to search for."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def fingerprint(key: str) -> bytes:
    """SHA-256 of an API key (32 bytes): what is kept and compared instead of the key."""
    # What came in a header may hold bytes that are not UTF-8, as lone surrogates.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
