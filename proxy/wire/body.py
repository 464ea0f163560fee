"""A JSON request body: raw bytes first, parsed once and shallowly, changed only where asked.

Only the top level is decoded (`dict[str, Raw]`): values stay the caller's bytes. A change splices
the new value into the raw text, so field order, number formats and white space of the rest survive.
Where the place cannot be told for sure from the text (a nested field of the same name, an escaped
name) each candidate is tried and checked by decoding again; the last resort writes the members
anew, each value still byte-exact.

A body that two JSON readers could understand differently is refused: a name that is given twice,
invalid UTF-8. Otherwise a caller could show us one model and the vendor another.
"""

import json  # noqa: TID251 - the only reader here that reports doubled names.
import re
from functools import lru_cache
from typing import TypeVar

import msgspec

from proxy.base.errors import BadRequest

T = TypeVar("T")

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_FLAG = msgspec.json.Decoder(bool)
_MAX_CANDIDATES = 64

# Names whose doubling matters to us, and ASCII letters written as escapes (no honest encoder does).
_SHORTEST_DOUBLE = len(b',"model":0')
_NAMES_WE_READ = (b'"model"', b'"stream"', b'"stream_options"')
_ESCAPED_LETTER = re.compile(rb"\\u00(?:[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")


class Body:
    """A JSON object as it came and as it will leave."""

    __slots__ = ("_members", "raw")

    def __init__(self, raw: bytes) -> None:
        """Parse `raw`. Raises BadRequest unless it is one JSON object without tricks."""
        self.raw = raw
        self._members = _decode(raw)
        if _might_double(raw, self._members):
            _refuse_doubles(raw)

    def text(self, name: str) -> str | None:
        """A string member, or None when absent or null. Raises BadRequest for another type."""
        return self._read(name, _TEXT, "a string")

    def flag(self, name: str) -> bool:
        """A boolean member; False when absent or null. Raises BadRequest for another type."""
        return self._read(name, _FLAG, "a boolean") is True

    def members(self, name: str) -> dict[str, msgspec.Raw] | None:
        """An object member, shallow. Raises BadRequest for another type."""
        return self._read(name, _MEMBERS, "an object")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def set(self, name: str, value: bytes) -> None:
        """Give member `name` the JSON text `value`; everything else stays byte for byte."""
        old = self._members.get(name)
        wanted = {**self._members, name: msgspec.Raw(value)}
        raw = _append(self.raw, name, value) if old is None else self._splice(name, old, value)
        self.raw = raw if raw is not None else msgspec.json.encode(wanted)
        self._members = wanted

    def _splice(self, name: str, old: msgspec.Raw, new: bytes) -> bytes | None:
        raw, old_text = self.raw, bytes(old)
        places = [m.end() for m in _value_pattern(name).finditer(raw)]
        places = [at for at in places if raw.startswith(old_text, at)]
        if not places or len(places) > _MAX_CANDIDATES:
            return None
        for at in places:
            changed = raw[:at] + new + raw[at + len(old_text) :]
            # One candidate may still be a nested field (the top-level name being escaped).
            if bytes(_decode(changed)[name]) == new:
                return changed
        return None

    def _read(self, name: str, decoder: msgspec.json.Decoder[T], what: str) -> T | None:
        raw = self._members.get(name)
        if raw is None or bytes(raw) == b"null":
            return None
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError:
            raise BadRequest(f"`{name}` must be {what}", code="invalid_type", param=name) from None


def _decode(raw: bytes) -> dict[str, msgspec.Raw]:
    try:
        if not raw.isascii():
            raw.decode()  # msgspec does not look into values that it skips.
        return _MEMBERS.decode(raw)
    except msgspec.ValidationError:
        raise BadRequest("the body must be a JSON object", code="invalid_json") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}", code="invalid_json") from None
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"the body is not valid UTF-8 (byte {error.start})", code="invalid_json"
        ) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply", code="invalid_json") from None


def _might_double(raw: bytes, members: dict[str, msgspec.Raw]) -> bool:
    # A doubled member leaves bytes that no member accounts for; compact JSON has none to spare, so
    # nearly every body is cleared by adding up lengths.
    accounted = 1
    for name, value in members.items():
        accounted += len(name) + 4 + memoryview(value).nbytes  # Quotes, colon, comma or brace.
    if len(raw) - accounted < _SHORTEST_DOUBLE:
        return False
    if any(raw.count(name) > 1 for name in _NAMES_WE_READ):
        return True
    return b"\\u00" in raw and _ESCAPED_LETTER.search(raw) is not None


def _refuse_doubles(raw: bytes) -> None:
    """The slow and certain way: read every member and compare the names of the top level."""

    # Only the outermost object is seen last; inner ones may double what they like.
    last: list[tuple[str, object]] = []

    def remember(pairs: list[tuple[str, object]]) -> None:
        last[:] = pairs

    try:
        json.loads(raw, object_pairs_hook=remember, parse_int=str, parse_float=str)
    except RecursionError:
        raise BadRequest("the body is nested too deeply", code="invalid_json") from None
    except ValueError as error:
        raise BadRequest(f"the body is not valid JSON: {error}", code="invalid_json") from None
    seen: set[str] = set()
    for name, _ in last:
        if name in seen:
            raise BadRequest(f"`{name}` is given twice", code="duplicate_field", param=name)
        seen.add(name)


def _append(raw: bytes, name: str, value: bytes) -> bytes:
    end = raw.rindex(b"}")
    comma = b"" if raw[:end].rstrip().endswith(b"{") else b","
    return raw[:end] + comma + msgspec.json.encode(name) + b":" + value + raw[end:]


@lru_cache(maxsize=64)
def _value_pattern(name: str) -> re.Pattern[bytes]:
    return re.compile(re.escape(msgspec.json.encode(name)) + rb"\s*:\s*")
