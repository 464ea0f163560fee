"""The request's body: read it, and find the model that is asked for.

JSON is read whole (bounded by `max_body`) and parsed shallowly; it need not be waited for where it
came with the head, as nearly all of it does. A multipart form is read up to its `model` part.
Everything else is passed on as it comes.
"""

from typing import Final

from proxy.base.clock import monotonic
from proxy.base.errors import UnsupportedMedia
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.steps import Later
from proxy.core.upload import FormUpload, StreamUpload
from proxy.wire.asked import asked_of
from proxy.wire.body import Body
from proxy.wire.coding import inflate_request
from proxy.wire.multipart import boundary_of

_JSON: Final = "application/json"  # As nearly everybody writes it.
_FORM: Final = "multipart/form-data"


def body(x: Exchange) -> Later | None:
    """Fill in `x.body`, `x.model`, `x.stream`. Raises BadRequest, TooLarge, UnsupportedMedia."""
    incoming, limit = x.incoming, x.runtime.max_body
    if not x.operation.has_model:
        if incoming.length != 0:
            x.body = StreamUpload(incoming.chunks(limit), incoming.length)
        return None
    content_type = incoming.headers.get("content-type", "")
    if content_type != _JSON and content_type.lower().startswith(_FORM):
        return _FIND_MODEL
    raw = incoming.take(limit)
    if raw is None:
        return _READ
    _parse(x, raw)
    return None


async def _read(x: Exchange) -> Reply | None:
    raw = await x.incoming.read(x.runtime.max_body)
    x.arrived = monotonic()
    _parse(x, raw)
    return None


async def _find_model(x: Exchange) -> Reply | None:
    incoming = x.incoming
    content_type = incoming.headers["content-type"]
    if _coding(x) or _times(x, b"content-type") > 1:  # The vendor might read another form than we.
        raise UnsupportedMedia("a form must come with one content-type and no content-encoding")
    chunks = incoming.chunks(x.runtime.max_body)
    form = FormUpload(chunks, incoming.length, boundary_of(content_type))
    x.at_end(lambda _: form.close())
    x.body = form
    x.model = await form.find_model()
    x.arrived = monotonic()
    return None


_READ: Final = Later(_read)
_FIND_MODEL: Final = Later(_find_model)


def _parse(x: Exchange, raw: bytes) -> None:
    if "content-encoding" in x.incoming.headers and (coding := _coding(x)):
        raw = inflate_request(raw, coding, x.runtime.max_body)
    operation = x.operation
    x.body = parsed = Body(raw)
    x.model = parsed.text("model")
    x.stream = "stream" in parsed.given and parsed.flag("stream")
    asked_of(parsed, operation.name)  # Numbers that no request can mean are refused.
    if x.stream and operation.can_ask_usage:
        options = parsed.members("stream_options")
        x.usage_asked = options is not None and bytes(options.get("include_usage", b"")) == b"true"


def _coding(x: Exchange) -> str | None:
    """What the body is coded with; None: nothing."""
    coding = x.incoming.headers.get("content-encoding")
    return None if coding is None or coding.lower() == "identity" else coding


def _times(x: Exchange, name: bytes) -> int:
    return sum(field[0].lower() == name for field in x.incoming.raw_headers)
