"""A JSON request body: raw bytes first, parsed once and shallowly, changed only where asked.

Only the top level is decoded (`dict[str, Raw]`): values stay the caller's bytes. A change splices
the new value into the raw text, so field order, number formats and white space of the rest survive.
The place is found by walking over the members, whose lengths are known: one pass, whatever stands
nested in them. Where a name we do not read is doubled the walk fails, and the members are written
anew, each value still byte-exact.

A body that two JSON readers could understand differently is refused: a name that is given twice,
invalid UTF-8 (deep within a long string: wire/members.py). Otherwise a caller could show us one
model and the vendor another.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec

from proxy.base.errors import BadRequest
from proxy.wire.members import AFTER_VALUE, MEMBER_NAME, Members, check, members_of

T = TypeVar("T")
Mark = tuple[bytes, Members, tuple[int | None, int] | None]

_ENCODER: Final = msgspec.json.Encoder()
_TEXT: Final = msgspec.json.Decoder(str)
_TEXT_OR_NULL: Final[msgspec.json.Decoder[str | None]] = msgspec.json.Decoder(str | None)
_WHOLE_OR_NULL: Final[msgspec.json.Decoder[int | None]] = msgspec.json.Decoder(int | None)
_FLAG_OR_NULL: Final[msgspec.json.Decoder[bool | None]] = msgspec.json.Decoder(bool | None)
_OBJECT_OR_NULL: Final[msgspec.json.Decoder[dict[str, Any] | None]] = msgspec.json.Decoder(
    dict[str, Any] | None
)
_MEMBERS_OR_NULL: Final[msgspec.json.Decoder[dict[str, msgspec.Raw] | None]] = msgspec.json.Decoder(
    dict[str, msgspec.Raw] | None
)

# Names whose doubling matters to us, and ASCII letters written as escapes (no honest encoder does).
_SHORT: Final = 16 * 1024
_FEW: Final = 64  # Members; a request has a dozen.
_SHORTEST_MEMBER: Final = len(b',"":0')
_NAMES_WE_READ: Final = tuple(
    (name, f'"{name}"'.encode())
    for name in (
        *("model", "stream", "stream_options", "user", "metadata", "n", "best_of"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "service_tier"),
        # What is looked through for rules, kept, or counted.
        *("messages", "input", "instructions", "prompt", "suffix", "prediction"),
        *("query", "documents"),
    )
)
_NEXT: Final = re.compile(rb"\s*,\s*")
_ESCAPED_LETTER: Final = re.compile(rb"\\u00(?:[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")


class Body:
    """A JSON object as it came and as it will leave. `given`: its members, to look at."""

    __slots__ = ("_plain", "_unread", "asked", "given", "raw")

    def __init__(self, raw: bytes) -> None:
        """Parse `raw`. Raises BadRequest unless it is one JSON object without tricks."""
        self.raw = raw
        self.asked: tuple[int | None, int] | None = None  # See wire/asked.py.
        try:
            found, unread = members_of(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _no_object(error) from None
        self.given: Members = found
        self._unread = unread  # What `members_of` did not read to its end.
        # Compact JSON has none to spare, and so nearly every body is cleared at once.
        spare = len(raw) - _least(raw, self.given)
        self._plain = spare < _SHORTEST_MEMBER  # No name is doubled; no change here doubles one.
        if not self._plain and len(raw) > _SHORT and len(self.given) <= _FEW:
            # A walk over the members is much shorter than a search for their names in all the text.
            self._plain = self._walk(None)[1] is None
        if not self._plain and _might_double(raw, self.given):
            self._refuse_doubles()

    def text(self, name: str) -> str | None:
        """A string member, or None when absent or null. Raises BadRequest for another type."""
        if name not in self.given:
            return None
        try:
            return _TEXT_OR_NULL.decode(self._whole(name))
        except msgspec.ValidationError:
            raise _wrong(name, "a string") from None

    def flag(self, name: str) -> bool:
        """A boolean member; False when absent or null. Raises BadRequest for another type."""
        return name in self.given and self._read(name, _FLAG_OR_NULL, "a boolean") is True

    def count(self, name: str, most: int) -> int | None:
        """A whole number from 1 to `most`, or None when absent or null. Raises BadRequest."""
        return self.largest((name,), most)

    def largest(self, names: Iterable[str], most: int) -> int | None:
        """The largest of these counts, or None where there is none. Raises BadRequest."""
        given, largest = self.given, None
        for name in names:
            if name not in given:
                continue
            try:
                number = _WHOLE_OR_NULL.decode(self._whole(name))
            except msgspec.ValidationError:
                raise _wrong(name, f"a whole number from 1 to {most}") from None
            if number is None:
                continue
            if not 1 <= number <= most:
                raise _wrong(name, f"a whole number from 1 to {most}", "invalid_value")
            if largest is None or number > largest:
                largest = number
        return largest

    def members(self, name: str) -> dict[str, msgspec.Raw] | None:
        """An object member, shallow. Raises BadRequest for another type."""
        if name not in self.given:
            return None
        return self._read(name, _MEMBERS_OR_NULL, "an object")

    def value(self, name: str) -> bytes | None:
        """The JSON text of a member, as it came; None when absent. Raises BadRequest."""
        return bytes(self._whole(name)) if name in self.given else None

    def spelled(self, name: str) -> bytes | None:
        """The same for who looks for nothing but quotes in it: whatever is within those."""
        raw = self.given.get(name)
        return None if raw is None else bytes(raw)

    def object(self, name: str) -> dict[str, Any] | None:
        """An object member, decoded to the bottom. Raises BadRequest for another type."""
        if name not in self.given:
            return None
        return self._read(name, _OBJECT_OR_NULL, "an object")

    def __contains__(self, name: str) -> bool:
        return name in self.given

    def set(self, name: str, value: bytes) -> None:
        """Give member `name` the JSON text `value`; everything else stays byte for byte."""
        old = self.given.get(name)
        wanted = {**self.given, name: msgspec.Raw(value)}
        raw = _append(self.raw, name, value) if old is None else self._splice(name, old, value)
        self.raw = raw if raw is not None else msgspec.json.encode(wanted)
        self.given = wanted
        self.asked = None

    def remove(self, name: str) -> None:
        """Take member `name` out, if it is there; the others stay byte for byte."""
        old = self.given.get(name)
        if old is None:
            return
        wanted = {other: value for other, value in self.given.items() if other != name}
        at, _ = self._walk(name)
        if at is None:
            self.raw = msgspec.json.encode(wanted)
        else:
            self.raw = _without(self.raw, self._gap_and_place(name)[0], at + _length(old))
        self.given = wanted
        self.asked = None

    def mark(self) -> Mark:
        """What `restore` needs to undo all changes made from here on. Nothing is copied."""
        return self.raw, self.given, self.asked

    def restore(self, mark: Mark) -> None:
        """Be again as at this mark."""
        self.raw, self.given, self.asked = mark

    def _splice(self, name: str, old: msgspec.Raw, new: bytes) -> bytes | None:
        at, _ = self._walk(name)
        return None if at is None else self.raw[:at] + new + self.raw[at + _length(old) :]

    def _gap_and_place(self, name: str) -> tuple[int, int]:
        """Where the value in front of member `name` ends, and where its own begins; each stands
        where it should. Values are not looked at, however long they are."""
        end = 0
        for other, value in self.given.items():
            match = MEMBER_NAME.match(self.raw, end)
            assert match is not None
            if other == name:
                return end, match.end()
            end = match.end() + _length(value)
        raise KeyError(name)

    def _refuse_doubles(self) -> None:
        _, doubled = self._walk(None)
        if doubled is not None:
            raise BadRequest(f"`{doubled}` is given twice", code="duplicate_field", param=doubled)

    def _walk(self, wanted: str | None) -> tuple[int | None, str | None]:
        """Where the value of `wanted` begins (None: nowhere), and a name that is doubled, if any.

        Decoding keeps the first place of a doubled name and its last value, so a text with one
        cannot be walked from end to end by the members that were decoded."""
        raw, end, found = self.raw, 0, None
        if self._plain and wanted is not None:
            return self._gap_and_place(wanted)[1], None
        for name, value in self.given.items():
            match = MEMBER_NAME.match(raw, end)
            assert match is not None  # There are at least as many members as names.
            text, start = bytes(value), match.end()
            end = start + len(text)
            given = _TEXT.decode(match[1])
            if given != name or not raw.startswith(text, start) or raw[end] not in AFTER_VALUE:
                return None, given
            if name == wanted:
                found = start
        more = MEMBER_NAME.match(raw, end)
        return (found, None) if more is None else (None, _TEXT.decode(more[1]))

    def _read(self, name: str, decoder: msgspec.json.Decoder[T], what: str) -> T:
        """A member that is there."""
        try:
            return decoder.decode(self._whole(name))
        except msgspec.ValidationError:
            raise _wrong(name, what) from None

    def _whole(self, name: str) -> msgspec.Raw:
        """A member that is there, JSON and UTF-8 to its end. Raises BadRequest."""
        value = self.given[name]
        if name in self._unread:
            try:
                check(value)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise _no_object(error) from None
        return value


def _wrong(name: str, what: str, code: str = "invalid_type") -> BadRequest:
    return BadRequest(f"`{name}` must be {what}", code=code, param=name)


def _no_object(error: Exception) -> BadRequest:
    if isinstance(error, msgspec.ValidationError):
        why = "the body must be a JSON object"
    elif isinstance(error, UnicodeDecodeError):
        why = f"the body is not valid UTF-8 (byte {error.start})"
    elif isinstance(error, RecursionError):
        why = "the body is nested too deeply"
    else:
        why = f"the body is not valid JSON: {error}"
    return BadRequest(why, code="invalid_json")


def _length(value: msgspec.Raw) -> int:
    return memoryview(value).nbytes


def _least(raw: bytes, members: Members) -> int:
    """The fewest bytes that a text of these members has; what a longer one has to spare may be a
    doubled member. So nearly every body is cleared by its length."""
    if len(raw) <= _SHORT:
        # A kilobyte is soon copied. Values are copied as they are, and no name is ever written in
        # more bytes than the shortest of its spellings has.
        return len(_ENCODER.encode(members))
    values = sum([memoryview(value).nbytes for value in members.values()])
    # Quotes, colon and a comma or the last brace for each, and the first brace.
    return values + sum(map(len, members)) + 4 * len(members) + 1


def _might_double(raw: bytes, members: Members) -> bool:
    for name, text in _NAMES_WE_READ:
        if name in members and raw.count(text) > 1:
            return True
    return b"\\u00" in raw and _ESCAPED_LETTER.search(raw) is not None


def _without(raw: bytes, gap: int, end: int) -> bytes:
    """The text without the member that ends at `end`; the value in front of it ends at `gap`."""
    match = MEMBER_NAME.match(raw, gap)
    assert match is not None
    behind = _NEXT.match(raw, end)
    if behind is not None:  # Another one follows: it takes this one's place.
        return raw[: match.start(1)] + raw[behind.end() :]
    comma = raw.rfind(b",", gap, match.start(1))
    return raw[: comma if comma >= 0 else match.start(1)] + raw[end:]


def _append(raw: bytes, name: str, value: bytes) -> bytes:
    end = raw.rindex(b"}")
    comma = b"" if raw[:end].rstrip().endswith(b"{") else b","
    return raw[:end] + comma + msgspec.json.encode(name) + b":" + value + raw[end:]
