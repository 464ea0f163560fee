"""The life of a request. Read this file first; docs/life-of-a-request.md has the picture."""

from proxy.base.clock import monotonic
from proxy.base.errors import UpstreamError
from proxy.core.dispatch import dispatch
from proxy.core.exchange import Exchange
from proxy.core.ports import Out
from proxy.core.relay import relay
from proxy.core.reply import Reply


async def serve(x: Exchange, out: Out) -> None:
    """The life of a request: admit, dispatch, relay, settle.

    Raises ProxyError when the caller must still be told; once `out` has started, `relay` tells."""
    try:
        x.reply = await admit(x) or await dispatch(x)
        await deliver(x, out)
    except BaseException as error:
        x.error = error
        raise
    finally:
        x.settle()


async def admit(x: Exchange) -> Reply | None:
    """Once per request, in the order of core/order.py: refuse, answer, or let it go on."""
    for middleware in x.runtime.middlewares:
        reply = await middleware(x)
        if reply is not None:
            return reply
    x.admitted = monotonic()
    return None


async def deliver(x: Exchange, out: Out) -> None:
    """Relay the reply. As long as nothing of it has left, another can take its place."""
    while True:
        try:
            return await relay(x, out)
        except UpstreamError as error:
            if out.started or x.tries is None:
                raise
            x.reply = await x.tries.instead(error)
