"""What happens once per request: steps, one after the other, in the order of order.py.

A step is a plain function of the exchange, called and done: most of what stands before an answer
needs to wait for nothing, and what has to wait only now and then (for a body that is still on the
wire, for a store) says so when it has to, by returning `Later`. So no coroutine is made for a step
that has nothing to await. An async middleware, as plugins write them, stands in the order as
`Later(it)`: a step that always waits.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from proxy.core.exchange import Exchange
    from proxy.core.reply import Reply

Step = Callable[["Exchange"], Union["Reply", "Later", None]]
"""Return a Reply: answer now. Raise ProxyError: refuse. Return None: go on. Return Later: go on as
that says."""

Middleware = Callable[["Exchange"], Awaitable["Reply | None"]]
"""The same, awaited."""


class Later:
    """What is left of a step that has to wait. It is a step itself: one that always has to."""

    __slots__ = ("rest",)

    def __init__(self, rest: Middleware) -> None:
        self.rest = rest

    def __call__(self, _x: "Exchange") -> "Later":
        return self


async def take(step: Step, x: "Exchange") -> "Reply | None":
    """One step to its end."""
    said = step(x)
    return await said.rest(x) if isinstance(said, Later) else said
