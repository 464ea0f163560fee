"""What a request may use at most, read from it before it is sent.

The bounds hold whatever the vendor's tokenizer is: no text has more tokens than bytes. Pictures
that the vendor fetches itself, and what it keeps from earlier (`previous_response_id`, files),
are not in the body and are added here. Numbers out of all proportion are refused by name.
"""

from proxy.core.exchange import Exchange
from proxy.core.gate import Need
from proxy.core.upload import FormUpload, StreamUpload
from proxy.wire import operations
from proxy.wire.body import Body

MOST_TOKENS = 10**7
MOST_CHOICES = 128  # As OpenAI's API description says of `n`.
_OVERHEAD = 64  # Tokens around the text: roles, separators, the priming of the answer.
_PICTURE = 4096  # Tokens of a picture that is only named: more than any vendor charges.
_BYTES_PER_SECOND = 1000  # Of audio: no codec in use makes speech from fewer.
_BYTES_PER_TOKEN = 64  # Of a form: pictures and audio, at their dearest.
_SPEECH = 4  # Tokens of audio for a byte of text, at the slowest reading.
_SEARCHES = 10  # More than one answer makes.
_PICTURE_MADE = 8192  # Tokens of a picture that is made, at the best quality.

_MAKES_TEXT = frozenset(("chat", "completions", "responses"))
_MAKES_PICTURES = frozenset(("images", "image_edits", "image_variations"))
_CAPS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_KEPT_BY_VENDOR = ("previous_response_id", "conversation", "prompt")


def need_of(x: Exchange) -> Need:
    """The bounds of a request. Raises BadRequest for a cap or a number of choices that is none."""
    body = x.body
    if isinstance(body, Body):
        return _of_json(x, body)
    length = body.length if isinstance(body, FormUpload | StreamUpload) else 0
    size = x.runtime.max_body if length is None else length
    made = _PICTURE_MADE if x.operation.name in _MAKES_PICTURES else size // _BYTES_PER_TOKEN
    return Need(
        input=size // _BYTES_PER_TOKEN + _PICTURE,
        endless=False,
        output=made + _OVERHEAD,
        choices=1,
        images=1 if x.operation.name in _MAKES_PICTURES else 0,
        seconds=-(-size // _BYTES_PER_SECOND),
        searches=0,
        tier="",
    )


def _of_json(x: Exchange, body: Body) -> Need:
    name, raw = x.operation.name, body.raw
    size = len(raw) + _OVERHEAD
    choices = max(body.count("n", MOST_CHOICES) or 1, body.count("best_of", MOST_CHOICES) or 1)
    if name in _MAKES_TEXT:
        size += _PICTURE * (raw.count(b'"image_url"') + raw.count(b'"input_image"'))
        caps = [cap for each in _CAPS if (cap := body.count(each, MOST_TOKENS)) is not None]
        output = max(caps) * choices if caps else None
    elif name in _MAKES_PICTURES:
        output = _PICTURE_MADE * choices
    else:
        output = _SPEECH * size if x.operation is operations.SPEECH else 0
    return Need(
        input=size,
        endless=_is_endless(name, body),
        output=output,
        choices=choices,
        images=choices if name in _MAKES_PICTURES else 0,
        seconds=0,
        searches=_SEARCHES if _may_search(x, raw) else 0,
        tier=(body.text("service_tier") or "") if "service_tier" in body else "",
    )


def _may_search(x: Exchange, raw: bytes) -> bool:
    model = x.model or ""
    return b"web_search" in raw or "search" in model or "sonar" in model


def _is_endless(name: str, body: Body) -> bool:
    if name == "responses" and any(each in body for each in _KEPT_BY_VENDOR):
        return True
    return name in _MAKES_TEXT and (b'"file_id"' in body.raw or b'"file_url"' in body.raw)
