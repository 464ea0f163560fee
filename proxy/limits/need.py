"""What a request may use at most, read from it before it is sent.

The bounds hold whatever the vendor's tokenizer is: no text has more tokens than bytes. Pictures are
counted apart, and what only the vendor knows (`previous_response_id`, files, what its tools find)
makes the input endless. Numbers out of all proportion are refused by name.

Names are looked for in the raw text, where a quote inside a string is escaped. Letters that are
escaped too (`\\u0077eb_search`) are read as what they are. What is usual, a conversation of texts
alone, is seen at once.
"""

import re
from typing import Final

from proxy.core.exchange import Exchange
from proxy.core.gate import Need
from proxy.core.target import SEARCHING
from proxy.core.upload import FormUpload, StreamUpload
from proxy.wire import operations
from proxy.wire.asked import asked_of, members, prompts
from proxy.wire.body import Body

_OVERHEAD: Final = 64  # Tokens around the text: roles, separators, the priming of the answer.
_BYTES_PER_SECOND: Final = 750  # Of audio: no codec in use makes speech from fewer.
_BYTES_PER_TOKEN: Final = 64  # Of a form: pictures and audio, at their dearest.
_SPEECH: Final = 4  # Tokens of audio for a byte of text, at the slowest reading.
_SEARCHES: Final = 10  # More than one answer makes.
_PICTURE_MADE: Final = 8192  # Tokens of a picture that is made, at the best quality.
_MOST_LOOKED_AT: Final = 16
_MOST_IN_A_FORM: Final = 10  # Pictures: what a form asks for may stand behind what is read of it.
_DOCUMENTS_A_CALL: Final = 100  # As rerankers bill: a call for so many, and long ones are several.
_LONG_DOCUMENT: Final = 250

_MAKES_TEXT: Final = frozenset(("chat", "completions", "responses"))
_MAKES_PICTURES: Final = frozenset(("images", "image_edits", "image_variations"))
_KEPT_BY_VENDOR: Final = ("previous_response_id", "conversation", "prompt")
_SEARCH_OPTIONS: Final = ("web_search_options", "search_parameters")
_TALKS: Final = frozenset(("chat", "responses"))
_SEARCH_NAME: Final = SEARCHING[0]
_SONAR_NAME: Final = SEARCHING[1]
_new_need: Final = tuple.__new__  # Makes one as `Need(*numbers)` does, in a third of the time.
_SPECIAL: Final = frozenset((*_KEPT_BY_VENDOR, *_SEARCH_OPTIONS, "prediction", "service_tier"))
_TYPE: Final = b'"type"'
_LONG: Final = 8 * 1024
_HOPS: Final = 100
_BACKSLASH: Final = ord("\\")  # A number is found in a quarter of the time that a text takes.
_ESCAPE: Final = b"\\u00"
_PICTURE: Final = b'"image_url"'
_MEMBER: Final = re.compile(rb'"image_url"\s*:')
_PICTURE_DATA: Final = re.compile(rb'"image_url"\s*:\s*(?:\{\s*"url"\s*:\s*)?"data:image/')
_OTHERS: Final = re.compile(
    rb'(?<!\\)"(?:file_search|code_interpreter|mcp|computer|file_id|file_url|item_reference)'
)  # Tools, and what only the vendor has.
_SEARCH: Final = re.compile(rb'(?<!\\)"(?:web_search|search_parameters)')
# Found much sooner than by an expression.
_SEARCHING: Final = (b'"web_search', b'"search_parameters')
_OTHERS_BEGIN: Final = (b'"file_', b'"code_int', b'"mcp', b'"computer', b'"item_ref')
_ESCAPED: Final = re.compile(rb"\\u00([2-7][0-9a-fA-F])")


def need_of(x: Exchange) -> Need:
    """The bounds of a request. Raises BadRequest for a cap or a number of choices that is none."""
    body = x.body
    if type(body) is Body:
        return _of_texts(x, body) or _of_json(x, body)
    length = body.length if isinstance(body, FormUpload | StreamUpload) else 0
    size = x.runtime.max_body if length is None else length
    makes = x.operation.name in _MAKES_PICTURES
    return Need(
        input=size // _BYTES_PER_TOKEN + _OVERHEAD,
        pictures=_MOST_LOOKED_AT if makes else 0,
        endless=False,
        output=_MOST_IN_A_FORM * _PICTURE_MADE if makes else size // _BYTES_PER_TOKEN + _OVERHEAD,
        predicted=0,
        choices=1,
        images=_MOST_IN_A_FORM if makes else 0,
        seconds=-(-size // _BYTES_PER_SECOND),
        searches=0,
        calls=1,
        tier="",
    )


def _of_texts(x: Exchange, body: Body) -> Need | None:
    """The bounds of a conversation in which nothing counts but text, or None for any other."""
    raw, name = body.raw, x.operation.name
    if name not in _TALKS or not _SPECIAL.isdisjoint(body.given) or _is_typed(raw):
        return None
    route, model = x.route, x.model or ""
    by_target = x.plan or route is None or route.searches
    if (by_target or _SEARCH_NAME in model or _SONAR_NAME in model) and _is_search_model(x):
        return None
    if _BACKSLASH in raw and _has_escapes(raw):
        return None
    cap, choices = body.asked or asked_of(body, name)
    output = None if cap is None else cap * choices
    numbers = len(raw) + _OVERHEAD, 0, False, output, 0, choices, 0, 0, 0, 1, ""
    return _new_need(Need, numbers)


def _of_json(x: Exchange, body: Body) -> Need:
    name = x.operation.name
    makes_text = name in _MAKES_TEXT
    text = _unescaped(body.raw)
    typed = _has(text, _TYPE)  # Parts of messages and tools have one; plain conversations do not.
    pictures, data = _pictures(text) if makes_text and typed else (0, 0)
    size = len(body.raw) - data + _OVERHEAD
    cap, choices = asked_of(body, name)
    if name == "completions":
        choices *= prompts(body.value("prompt"))
    makes = name in _MAKES_PICTURES
    searches = _may_search(x, body) or (typed and _names_one(text, _SEARCHING, _SEARCH))
    return Need(
        input=size,
        pictures=pictures,
        endless=makes_text
        and (
            searches
            or (typed and _names_one(text, _OTHERS_BEGIN, _OTHERS))
            or (name == "responses" and any(each in body for each in _KEPT_BY_VENDOR))
        ),
        output=_output(name, cap, choices, size),
        predicted=len(body.value("prediction") or b"") * choices if name == "chat" else 0,
        choices=choices,
        images=choices if makes else 0,
        seconds=0,
        searches=_SEARCHES if searches else 0,
        calls=_calls(body) if name == "rerank" else 1,
        tier=(body.text("service_tier") or "") if "service_tier" in body else "",
    )


def _output(name: str, cap: int | None, choices: int, size: int) -> int | None:
    if name in _MAKES_TEXT:
        return cap * choices if cap is not None else None
    if name in _MAKES_PICTURES:
        return _PICTURE_MADE * choices
    return _SPEECH * size if name == operations.SPEECH.name else 0


def _pictures(text: bytes) -> tuple[int, int]:
    """How many pictures are to be looked at, and how many bytes of them stand in the text."""
    found = data = 0
    at = text.find(_PICTURE) if _has(text, _PICTURE) else -1
    while at >= 0:
        found += _MEMBER.match(text, at) is not None
        match = _PICTURE_DATA.match(text, at)
        end = at + len(_PICTURE)
        if match is not None:
            end = text.find(b'"', match.end())
            data += end - match.end()
        at = text.find(_PICTURE, end)
    return found, data


def _names_one(text: bytes, begin: tuple[bytes, ...], names: re.Pattern[bytes]) -> bool:
    return any(_has(text, each) for each in begin) and names.search(text) is not None


def _is_typed(raw: bytes) -> bool:
    """Whether anything has a type. Long prompts are one long string: from quote to quote is nearly
    as fast as memory is read, and thirty times as fast as to look for the word."""
    at = -1
    if len(raw) > _LONG:
        for _ in range(_HOPS):
            at = raw.find(b'"', at + 1)
            if at < 0:
                return False
            if raw.startswith(_TYPE, at):
                return True
    return raw.rfind(_TYPE, at + 1) >= 0


def _has(text: bytes, name: bytes) -> bool:
    # Searched from the end: for no reason but the library's, that takes a quarter of the time.
    return text.rfind(name) >= 0


def _has_escapes(raw: bytes) -> bool:
    """Whether a letter may be written as its number."""
    return _BACKSLASH in raw and _has(raw, _ESCAPE)  # The first alone is found at once.


def _calls(body: Body) -> int:
    documents = members(body.value("documents"))
    return 1 + (documents + len(body.raw) // _LONG_DOCUMENT) // _DOCUMENTS_A_CALL


def _may_search(x: Exchange, body: Body) -> bool:
    return _is_search_model(x) or any(each in body for each in _SEARCH_OPTIONS)


def _is_search_model(x: Exchange) -> bool:
    """Whether it may go to one that searches by itself, whatever that is called here."""
    model = x.model or ""
    if _SEARCH_NAME in model or _SONAR_NAME in model:
        return True
    if not x.plan:
        return x.route is not None and x.route.searches
    return any(target.searches for target in x.plan)


def _unescaped(raw: bytes) -> bytes:
    if not _has_escapes(raw):
        return raw
    return _ESCAPED.sub(lambda found: _letter(int(found[1], 16)), raw)


def _letter(code: int) -> bytes:
    letter = bytes((code,))
    return letter if letter.isalnum() or letter == b"_" else b" "  # No new quotes or backslashes.
