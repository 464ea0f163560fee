"""What was said, as text to be kept: prompts and answers of OpenAI's API, at most `LONGEST` each.

JSON stays JSON: the members that hold words are kept byte for byte, all else (parameters, ids,
usage) is left out. What is no text is never kept: base64 within JSON, audio, images, vectors and
forms are told as `<12,345 bytes of audio/mpeg>`. What looks like a key is blotted out.

Runs once for a request, at its end, and looks at `_READ` bytes at most besides base64, which it
jumps over; no values are decoded.
"""

import re

import msgspec

from proxy.base.redact import redact
from proxy.wire import operations as op
from proxy.wire.body import Body
from proxy.wire.cut_json import cut_json, cut_text

LONGEST = 64 * 1024
_READ = 4 * LONGEST

_ASKED = {
    op.CHAT.name: ("messages",),
    op.COMPLETIONS.name: ("prompt", "suffix"),
    op.RESPONSES.name: ("instructions", "input"),
    op.EMBEDDINGS.name: ("input",),
    op.MODERATIONS.name: ("input",),
    op.IMAGES.name: ("prompt",),
    op.SPEECH.name: ("input", "instructions"),
    op.RERANK.name: ("query", "documents"),
}
_ANSWERED = {
    op.CHAT.name: ("choices",),
    op.COMPLETIONS.name: ("choices",),
    op.RESPONSES.name: ("output",),
    op.MODERATIONS.name: ("results",),
    op.RERANK.name: ("results",),
    op.TRANSCRIPTIONS.name: ("text",),
    op.TRANSLATIONS.name: ("text",),
}

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MEDIA = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}")
_DATA_URL = re.compile(rb"data:([A-Za-z0-9.+\\/-]{3,110})(?:;[A-Za-z0-9.=+-]{1,60})*;base64,$")
_LONGEST_HEAD = 300
_IN_URL = b";base64,"
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/=_-]|\\/){64}")
_LONG_BASE64 = re.compile(rb'"(?=[A-Za-z0-9+/_\\-]{256})((?:[A-Za-z0-9+/_-]++|\\/)++={0,2})("|\Z)')


def prompt(operation: op.Operation, body: Body) -> str | None:
    """What a JSON request said; None where the operation has no words."""
    found = []
    for name in _ASKED.get(operation.name, ()):
        value = body.spelled(name)
        if value is not None and value != b"null":
            found.append((name, value))
    return _json(found) if found else None


def answer(operation: op.Operation, kind: str, body: bytes, total: int) -> str | None:
    """What a whole answer said; `total` is its length, of which `body` may be the beginning."""
    if not total:
        return None
    if not keeps_text(operation, kind):
        return media(kind, total)
    if kind.startswith("text/"):
        return redact(cut_text(body, LONGEST))
    try:
        members = _MEMBERS.decode(body)
    except (msgspec.DecodeError, RecursionError):
        # Only its beginning is here, or it is no object: all that can be read of it.
        text, whole = _without_binary(body)
        return redact(cut_json(text, LONGEST, whole=whole and total == len(body)))
    names = _ANSWERED[operation.name]
    return _json([(name, bytes(members[name])) for name in names if name in members])


def keeps_text(operation: op.Operation, kind: str) -> bool:
    """Whether anything of an answer with this content type can be kept: no pictures, sound, or
    vectors."""
    if kind.startswith("application/json"):
        return operation.name in _ANSWERED
    return kind.startswith("text/")


def media(kind: str, size: int | None) -> str:
    """What is said in place of bytes that are no text. `kind` may be anything a peer sent."""
    found = _MEDIA.match(kind.lower())
    named = found[0] if found is not None else "an unnamed type"
    return f"<{size:,} bytes of {named}>" if size is not None else f"<bytes of {named}>"


def _json(members: list[tuple[str, bytes]]) -> str:
    said = []
    whole = True
    for name, value in members:
        text, whole = _without_binary(value)
        said.append(b'"%b":%b' % (name.encode(), text))
        if not whole:
            break
    text = b"{" + b",".join(said) + (b"}" if whole else b"")
    return redact(cut_json(text, LONGEST, whole=whole))


def _without_binary(raw: bytes) -> tuple[bytes, bool]:
    """JSON without base64 (data URLs wherever they stand, and other long strings of it), and
    whether that is all of it: more than `_READ` is not looked at."""
    kept: list[bytes] = []
    size = start = 0
    at = raw.find(_IN_URL)
    while at >= 0 and size < _READ:
        end = _end_of_data(raw, at + len(_IN_URL))
        head = raw[max(start, at - _LONGEST_HEAD) : at + len(_IN_URL)]
        if end is not None and (url := _DATA_URL.search(head)) is not None:
            begin = at + len(_IN_URL) - (url.end() - url.start())
            kind = url[1].replace(b"\\", b"").decode("ascii")
            kept += (raw[start:begin], media(kind, _decoded(end - at - len(_IN_URL))).encode())
            size += begin - start
            start = end
        at = raw.find(_IN_URL, end if end is not None else at + 1)
    kept.append(raw[start : start + _READ])
    text = b"".join(kept)
    whole = len(text) <= _READ and len(raw) - start <= _READ
    return _LONG_BASE64.sub(_blot, text[:_READ]), whole


def _end_of_data(raw: bytes, start: int) -> int | None:
    """Where base64 that begins at `start` ends; None when it is no base64."""
    if _BASE64.match(raw, start) is None:
        return None
    end = raw.find(b'"', start)
    return len(raw) if end < 0 else end


def _blot(found: re.Match[bytes]) -> bytes:
    return b'"<%b>%b' % (f"{_decoded(len(found[1])):,} bytes of base64".encode(), found[2])


def _decoded(length: int) -> int:
    return length * 3 // 4
