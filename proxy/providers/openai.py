"""Vendors that speak OpenAI's wire format: nearly everything passes as it came.

What may change: `model`, when the target calls it otherwise; `stream_options`, to ask for usage;
the caller's credentials, which give way to the operator's.
"""

from functools import lru_cache
from typing import Final

import msgspec

from proxy.base.errors import Refused, UpstreamError
from proxy.core.exchange import Decoder, Exchange
from proxy.core.outgoing import Outgoing
from proxy.core.ports import Answer, Upload
from proxy.core.target import Target
from proxy.core.upload import FormUpload
from proxy.wire.body import Body
from proxy.wire.errors import has_key, is_openai_shape, message_in, without_keys
from proxy.wire.headers import CallerFields, Pairs, VendorHead, to_caller, to_vendor
from proxy.wire.reasons import reason_of
from proxy.wire.sse import WithoutUsage

_IDENTITY: Final = (b"accept-encoding", b"identity")
_ACCEPT: Final = frozenset((b"accept-encoding",))
_READ_BY_US: Final = _ACCEPT | {b"content-encoding"}  # A compressed JSON body leaves uncompressed.
_ERROR_HEADERS: Final = frozenset((b"content-type", b"content-encoding"))
# These refuse `max_tokens`; other vendors know only it.
_REASONING: Final = ("o1", "o3", "o4", "gpt-5")
_CAPS: Final = {
    "chat": "max_tokens",
    "completions": "max_tokens",
    "responses": "max_output_tokens",
}
_KINDS: Final = {429: ("rate_limit_error", "rate_limit_exceeded")}
_NO_RETRY: Final = ((b"x-should-retry", b"false"),)


class OpenAIAdapter:
    """Every operation of an OpenAI-compatible vendor."""

    def request(self, x: Exchange, target: Target, /) -> Outgoing:
        """The caller's request with the target's model; core/send.py adds the key."""
        provider = target.provider
        raw = x.incoming.raw_headers
        if x.operation.has_model:  # The answer must be readable: usage stands in it.
            fields = _fields_beside_ours(provider.replaced, isinstance(x.body, Body))
            headers = fields.kept_again(raw, x.incoming.recalled)
            headers.append(_IDENTITY)
        else:
            headers = to_vendor(raw, provider.replaced)
        headers += x.trace.fields(x.attempts[-1].span if x.attempts else None)
        headers += provider.headers
        query = x.incoming.query
        path = provider.base_path + x.path
        return Outgoing(
            x.incoming.method, f"{path}?{query}" if query else path, headers, _body(x, target.model)
        )

    def decoder(self, x: Exchange, /) -> Decoder | None:
        """Hides the usage event from callers that did not ask for it."""
        return WithoutUsage() if _asks_usage(x) else None

    def headers(self, x: Exchange, head: VendorHead, /) -> Pairs:
        """The vendor's fields, its request id under a name of its own."""
        headers = head.kept
        if head.request_id is not None:
            headers.append((b"x-llm-proxy-upstream-request-id", head.request_id))
        return headers

    def error(self, x: Exchange, answer: Answer, body: bytes, /) -> UpstreamError:
        """An answer of status 400 or above, in OpenAI's shape whatever the vendor sent.

        A refused credential is the operator's, not the caller's: it is told as 502."""
        headers = tuple(to_caller(answer.headers, _ERROR_HEADERS))
        reason = reason_of(answer.status, body)
        if answer.status == 401:
            return Refused(
                502,
                "the vendor refused the proxy's credentials; tell the operator of this proxy",
                code="upstream_authentication",
                headers=_NO_RETRY,
                reason=reason,
            )
        if is_openai_shape(body):
            if has_key(body):
                body = without_keys(body.decode("utf-8", "replace")).encode()
            return Refused(
                answer.status, "the vendor refused", headers=headers, body=body, reason=reason
            )
        words = message_in(body) or "no reason that can be read"
        kind, code = _KINDS.get(answer.status, (None, None))
        if kind is None and answer.status < 500:
            kind = "invalid_request_error"
        return Refused(
            answer.status,
            f"the vendor answered {answer.status}: {words}",
            type=kind,
            code=code,
            headers=headers,
            reason=reason,
        )


@lru_cache(maxsize=256)
def _fields_beside_ours(replaced: frozenset[bytes], json: bool) -> CallerFields:
    return CallerFields(replaced | (_READ_BY_US if json else _ACCEPT))


def _body(x: Exchange, model: str) -> bytes | Upload:
    body = x.body
    if body is None:
        return b""
    if isinstance(body, Body):
        if model and model != body.text("model"):
            body.set("model", msgspec.json.encode(model))
        if _asks_usage(x):
            _ask_usage(body)
        if x.cap is not None and (name := _CAPS.get(x.operation.name)) is not None:
            _cap(body, name, x.cap, reasons=model.startswith(_REASONING))
        return body.raw
    if isinstance(body, FormUpload) and model:
        body.replace_model(model)
    return body


def _cap(body: Body, name: str, cap: int, *, reasons: bool) -> None:
    """Set the cap on output. Of two names a vendor refuses both: one that is there is no number,
    or ours for another target."""
    other = "max_completion_tokens" if name == "max_tokens" else None
    if reasons and other is not None:
        name, other = other, name
    if other is not None and other in body:
        body.set(other, b"null")
    body.set(name, b"%d" % cap)


def _asks_usage(x: Exchange) -> bool:
    return x.stream and x.operation.can_ask_usage and not x.usage_asked


def _ask_usage(body: Body) -> None:
    options = body.members("stream_options") or {}
    if bytes(options.get("include_usage", b"")) != b"true":
        options["include_usage"] = msgspec.Raw(b"true")
        body.set("stream_options", msgspec.json.encode(options))
