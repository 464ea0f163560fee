"""The request's body: read it, and find the model that is asked for.

JSON is read whole (bounded by `max_body`) and parsed shallowly. A multipart form is read up to its
`model` part. Everything else is passed on as it comes.
"""

from proxy.base.clock import monotonic
from proxy.base.errors import UnsupportedMedia
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.upload import FormUpload, StreamUpload
from proxy.wire.asked import check
from proxy.wire.body import Body
from proxy.wire.coding import inflate_request
from proxy.wire.multipart import boundary_of


async def body(x: Exchange) -> Reply | None:
    """Fill in `x.body`, `x.model`, `x.stream`. Raises BadRequest, TooLarge, UnsupportedMedia."""
    incoming, limit = x.incoming, x.runtime.max_body
    if not x.operation.has_model:
        if incoming.length != 0:
            x.body = StreamUpload(incoming.chunks(limit), incoming.length)
        return None
    content_type = incoming.headers.get("content-type", "")
    coding = incoming.headers.get("content-encoding")
    coded = coding is not None and coding.lower() != "identity"
    if content_type.lower().startswith("multipart/form-data"):
        if coded or _times(x, b"content-type") > 1:  # The vendor might read another form than we.
            raise UnsupportedMedia("a form must come with one content-type and no content-encoding")
        form = FormUpload(incoming.chunks(limit), incoming.length, boundary_of(content_type))
        x.at_end(lambda _: form.close())
        x.body = form
        x.model = await form.find_model()
        x.arrived = monotonic()
        return None
    raw = await incoming.read(limit)
    x.arrived = monotonic()
    if coding is not None and coded:
        raw = inflate_request(raw, coding, limit)
    x.body = parsed = Body(raw)
    x.model = parsed.text("model")
    x.stream = parsed.flag("stream")
    check(parsed, x.operation.name)
    if x.stream and x.operation.can_ask_usage:
        options = parsed.members("stream_options")
        x.usage_asked = options is not None and bytes(options.get("include_usage", b"")) == b"true"
    return None


def _times(x: Exchange, name: bytes) -> int:
    return sum(field[0].lower() == name for field in x.incoming.raw_headers)
