"""Admission, once per request: the steps of core/order.py refuse it, answer it, or let it go on.

Nearly always none has to wait; then no coroutine is made.
"""

from proxy.base.clock import monotonic
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.steps import Later, Middleware


def admit(x: Exchange) -> Reply | Later | None:
    """All steps. Returns Later where one has to wait: that and those behind it."""
    return _from(x, 0)


def _from(x: Exchange, number: int) -> Reply | Later | None:
    steps = x.runtime.middlewares
    while number < len(steps):
        said = steps[number](x)
        number += 1
        if said is not None:
            return Later(_Rest(said.rest, number)) if isinstance(said, Later) else said
    x.admitted = monotonic()
    return None


class _Rest:
    """What is left: a step that waits, and the steps from `number` on."""

    __slots__ = ("_number", "_step")

    def __init__(self, step: Middleware, number: int) -> None:
        self._step = step
        self._number = number

    async def __call__(self, x: Exchange) -> Reply | None:
        while True:
            reply = await self._step(x)
            if reply is not None:
                return reply
            said = _from(x, self._number)
            if not isinstance(said, Later):
                return said
            rest = said.rest
            assert isinstance(rest, _Rest)
            self._step, self._number = rest._step, rest._number
