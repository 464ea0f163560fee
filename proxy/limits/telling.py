"""What an answer's header fields say of limits and budgets, and of a store that is away.

How the walls stand is said by every answer, so those lines are rendered at once (`Reply.lines`)
from a text that thousands of answers share, and not field by field.
"""

from typing import Literal

from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.limits import answers
from proxy.wire.headers import RATE_LIMIT_PREFIX

Policy = Literal["deny", "allow", "local"]


def tell(x: Exchange, reply: Reply) -> None:
    """How the tightest walls stood when this was let through: ours in place of the vendor's."""
    requests = tokens = left = None
    if x.grant is not None:
        requests, tokens, _ = x.grant.standing()
        if reply.head.limits and (requests is not None or tokens is not None):
            _drop_limits(reply)
    if x.attempts and (hold := x.attempts[-1].hold) is not None:
        _, _, left = hold.standing()
    reply.lines = answers.lines(requests, tokens, left)


def _drop_limits(reply: Reply) -> None:
    reply.headers = [
        field for field in reply.headers if not field[0].lower().startswith(RATE_LIMIT_PREFIX)
    ]


def say_degraded(x: Exchange, what: str, policy: Policy) -> None:
    """Have the answer say that a store was away. Raises StoreUnavailable for `deny`."""
    if policy == "deny":
        raise answers.unavailable(what)
    line = (b"x-llm-proxy-degraded", f"{what}: {policy}".encode())
    x.on_reply(lambda reply: reply.headers.append(line) if line not in reply.headers else None)
