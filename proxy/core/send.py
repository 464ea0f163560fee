"""One attempt: the request to one target, up to the first bytes of a good answer."""

from typing import Final, NoReturn

from proxy.base.clock import monotonic
from proxy.base.errors import Malformed, UpstreamError
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.outgoing import Timeouts
from proxy.core.ports import Answer
from proxy.core.reply import Reply
from proxy.core.target import Provider
from proxy.wire.headers import VendorHead
from proxy.wire.vendor_limits import exhausted

_ERROR_BODY: Final = 256 * 1024


Good = tuple[Answer, VendorHead]
"""An answer that is good as far as its first bytes tell, and what its head says."""


async def send(x: Exchange, attempt: Attempt, timeouts: Timeouts) -> Good:
    """Ask the target of `attempt`, and wait for the first bytes of its answer.

    Raises UpstreamError. Cancelling it gives the answer up."""
    target = attempt.target
    provider = target.provider
    outgoing = provider.adapter(x.operation).request(x, target)
    if (keys := provider.keys) is not None:
        attempt.key = key = keys.take()
        outgoing.headers = (*outgoing.headers, keys.field(key))
    attempt.sent()
    answer = await provider.transport.send(outgoing, timeouts)
    attempt.head = monotonic()
    attempt.status = answer.status
    try:
        if answer.status >= 400:
            await _refuse_error(x, provider, answer)
        head = VendorHead(answer.headers)
        if x.operation.has_model and (answer.status >= 300 or head.is_html):
            _refuse_nonsense(answer.status)
        if not answer.here:
            await answer.ready()
        if head.limits and (seconds := exhausted(answer.headers)) is not None:
            attempt.exhausts(seconds)
    except BaseException:
        answer.abort()
        raise
    attempt.answers()
    return answer, head


def reply_of(x: Exchange, attempt: Attempt, good: Good) -> Reply:
    """The reply that such an answer makes, with what the caller is told of its way."""
    answer, head = good
    target = attempt.target
    adapter = target.provider.adapter(x.operation)
    x.first_byte = attempt.first_byte
    if head.is_events and (decoder := adapter.decoder(x)) is not None:
        x.filters.insert(0, decoder)
    headers = adapter.headers(x, head)
    headers += target.lines
    if len(x.attempts) > 1:
        headers.append((b"x-llm-proxy-attempts", b"%d" % len(x.attempts)))
    if (route := x.route) is not None and target.route and target.route != route.model:
        headers.append((b"x-llm-proxy-fallback-from", route.model.encode()))
    if x.left_out:
        headers.append((b"x-llm-proxy-context", b"windowed"))
    if x.rule is not None:
        headers.append((b"x-llm-proxy-rule", x.rule.name.encode()))
    asked = attempt.started if len(x.attempts) == 1 else min(each.started for each in x.attempts)
    own = monotonic() - x.arrived - (attempt.first_byte - asked)  # Not spent on asking vendors.
    headers.append((b"x-llm-proxy-overhead-ms", b"%.2f" % (1000 * own)))
    return Reply(answer.status, headers, answer=answer, head=head)


async def _refuse_error(x: Exchange, provider: Provider, answer: Answer) -> NoReturn:
    try:
        body = await answer.read(_ERROR_BODY)
    except UpstreamError:  # Cut, too large, in an unknown coding: the status is known all the same.
        body = b""
    for secret in provider.secrets:  # Vendors quote the key that they refuse.
        body = body.replace(secret, b"***")
    raise provider.adapter(x.operation).error(x, answer, body)


def _refuse_nonsense(status: int) -> NoReturn:
    if status >= 300:
        raise Malformed(f"the vendor answered with a redirect ({status}); is base_url right?")
    raise Malformed("the vendor answered with a web page; is base_url right?")
