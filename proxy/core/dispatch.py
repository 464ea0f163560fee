"""One visible loop over the plan: try a target, and the next one while that is safe.

Up to the commit point (the first bytes of a good answer) another target may be tried; here, that is
only when nothing can have reached the vendor. Retry is this loop, never a layer.
"""

from proxy.base.clock import monotonic
from proxy.base.errors import InternalError, Malformed, ProxyError, UpstreamError
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.ports import Answer
from proxy.core.reply import Reply
from proxy.core.target import Provider, Target
from proxy.core.tracing import new_span
from proxy.wire.headers import VendorHead

_ERROR_BODY = 256 * 1024


async def dispatch(x: Exchange) -> Reply:
    """The first good answer of the plan's targets. Raises the last target's UpstreamError, or what
    stood against all of them: BudgetExceeded, LimitReached, OperatorError, StoreUnavailable."""
    failure: UpstreamError | None = None
    refusal: ProxyError | None = None
    gate = x.runtime.gate
    for target in x.plan:
        attempt = Attempt(target, new_span() if x.trace.span is not None else None)
        if gate is not None:
            try:
                await gate.hold(x, target, attempt)
            except ProxyError as error:  # Another target may be cheaper, or below its limits.
                refusal = refusal or error
                continue
        x.attempts.append(attempt)
        try:
            return await _try(x, target, attempt)
        except UpstreamError as error:
            attempt.failed(x.id, error)
            failure = error
            if not _may_try_next(x, error):
                break
    raise failure or refusal or InternalError("the plan of this request is empty")


def _may_try_next(x: Exchange, error: UpstreamError) -> bool:
    used_up = getattr(x.body, "started", False)
    return not error.sent and not used_up


async def _try(x: Exchange, target: Target, attempt: Attempt) -> Reply:
    provider = target.provider
    adapter = provider.adapter(x.operation)
    answer = await provider.transport.send(adapter.request(x, target), provider.timeouts)
    attempt.head = monotonic()
    attempt.status = answer.status
    try:
        await _refuse_errors(x, target.provider, answer)
        head = VendorHead(answer.headers)
        if x.operation.has_model:
            _refuse_nonsense(answer.status, head.content_type)
        await answer.ready()
    except BaseException:
        answer.abort()
        raise
    attempt.first_byte = x.first_byte = monotonic()
    if head.is_events and (decoder := adapter.decoder(x)) is not None:
        x.filters.insert(0, decoder)
    headers = adapter.headers(x, head)
    headers.append((b"x-llm-proxy-provider", provider.name.encode()))
    if target.model:
        headers.append((b"x-llm-proxy-model", target.model.encode()))
    headers.append((b"x-llm-proxy-overhead-ms", b"%.2f" % (1000 * _overhead(x, attempt))))
    return Reply(answer.status, headers, answer=answer, head=head)


def _overhead(x: Exchange, last: Attempt) -> float:
    """Seconds from the request's arrival to now that were not spent waiting for this vendor."""
    return monotonic() - x.arrived - (last.first_byte - last.started)


async def _refuse_errors(x: Exchange, provider: Provider, answer: Answer) -> None:
    if answer.status < 400:
        return
    try:
        body = await answer.read(_ERROR_BODY)
    except UpstreamError:  # Cut, too large, in an unknown coding: the status is known all the same.
        body = b""
    for secret in provider.secrets:  # Vendors quote the key that they refuse.
        body = body.replace(secret, b"***")
    raise provider.adapter(x.operation).error(x, answer, body)


def _refuse_nonsense(status: int, content_type: bytes) -> None:
    if status >= 300:
        raise Malformed(f"the vendor answered with a redirect ({status}); is base_url right?")
    if content_type.startswith(b"text/html"):
        raise Malformed("the vendor answered with a web page; is base_url right?")
