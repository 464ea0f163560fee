"""An answer that broke off after its first words, carried on by another target.

`prefill`: a target that declares it gets the text sent so far as the beginning of its own answer.
`restart`: a target is asked anew and held back until it has repeated exactly that text; where it
says something else the rescue has failed. The caller sees one stream; an event near its end says
who finished it. Where no target can, it is told the first error, not the last.
"""

from collections.abc import Sequence
from typing import Final

from proxy.base.errors import BadRequest, Malformed, ProxyError, Refused, UpstreamError
from proxy.core.attempt import Attempt
from proxy.core.dispatch import Tries
from proxy.core.exchange import Decoder, Exchange
from proxy.core.policy import Rescue
from proxy.core.reply import Reply
from proxy.core.send import Good, reply_of, send
from proxy.core.target import Target
from proxy.wire.body import Body
from proxy.wire.continuation import Prefilled, Repeated, Sent, rescue_event

_CAPS: Final = ("max_tokens", "max_completion_tokens")
_BYTES_PER_TOKEN: Final = 4
_MOST: Final = 2**31


def may_need_rescue(x: Exchange) -> bool:
    """Whether to remember what is sent, so that another target could go on from there."""
    if x.operation.name != "chat" or x.tries is None or not x.attempts:
        return False
    return bool(x.attempts[-1].target.policy.rescue) and x.tries.has_more


async def rescue(x: Exchange, sent: Sent, error: UpstreamError) -> Reply | None:
    """The reply of a target that carries on, its events made to follow what was sent; None: there
    is none. Raises nothing but cancellation."""
    tries, broken = x.tries, x.attempts[-1]
    if tries is None or not sent.can_continue:
        return None
    x.put_away(broken)
    target = tries.moved(broken.target, error)
    while target is not None:
        refused: ProxyError = BadRequest("it may not carry on")
        for way in _ways(broken.target.policy.rescue, target):
            if not tries.may_go_on():  # The way before this one was the last try.
                return None
            attempt = tries.attempt(target)
            attempt.rescue = way
            try:
                return await _carried_on(x, tries, attempt, sent, way)
            except ProxyError as failed:
                if isinstance(failed, UpstreamError) and attempt in x.attempts:
                    attempt.failed(x.id, failed)
                refused = failed
                if way == "prefill" and isinstance(failed, Refused) and failed.reason == "refused":
                    refused = BadRequest("it takes no prefill")  # The next one may.
        target = tries.moved(target, refused)
    return None


def _ways(kinds: Sequence[Rescue], target: Target) -> list[Rescue]:
    able = target.capabilities is not None and "prefill" in target.capabilities
    return [kind for kind in kinds if kind == "restart" or able]


async def _carried_on(
    x: Exchange, tries: Tries, attempt: Attempt, sent: Sent, way: Rescue
) -> Reply:
    known, first_byte = x.announcers, x.first_byte
    await tries.hold(attempt, sent.prefill if way == "prefill" else None)
    if way == "prefill":
        _lower_cap(x, sent.prefill)
    good = await send(x, attempt, tries.timeouts(attempt.target))
    if not good[1].is_events:
        good[0].abort()
        raise Malformed("the answer that was to carry on is no stream")
    return _reply(x, attempt, good, sent, known, first_byte)


def _reply(  # noqa: PLR0917 - What the rescue has in hand, once.
    x: Exchange, attempt: Attempt, good: Good, sent: Sent, known: int, first_byte: float
) -> Reply:
    framing = x.filters[0]
    kept = [each for each in x.filters if each is not framing and each not in x.for_attempt]
    x.filters.clear()
    x.for_attempt.clear()
    reply = reply_of(x, attempt, good)
    x.first_byte = first_byte  # The caller has had its first byte.
    way: Rescue = "prefill" if attempt.rescue == "prefill" else "restart"
    mark = rescue_event(way, attempt.provider, attempt.model, sent)
    carried: Decoder = Prefilled(sent, mark) if way == "prefill" else Repeated(sent, mark)
    x.filter(carried, for_attempt=True)
    x.filters += kept
    x.announce_attempt(reply, known)
    return reply


def _lower_cap(x: Exchange, begun: str) -> None:
    """The tokens that were sent are part of what the caller allowed."""
    body = x.body
    if isinstance(body, Body):
        for name in _CAPS:
            most = body.count(name, _MOST)
            if most is not None:
                left = most - len(begun.encode()) // _BYTES_PER_TOKEN
                body.set(name, b"%d" % max(1, left))
