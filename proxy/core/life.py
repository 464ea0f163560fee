"""The life of a request. Read this file first; docs/life-of-a-request.md has the picture."""

from proxy.base.errors import UpstreamError
from proxy.core.admission import admit
from proxy.core.dispatch import dispatch
from proxy.core.exchange import Exchange
from proxy.core.ports import Out
from proxy.core.relay import relay
from proxy.core.steps import Later


async def serve(x: Exchange, out: Out) -> None:
    """The life of a request: admit, dispatch, relay, settle.

    Raises ProxyError when the caller must still be told; once `out` has started, `relay` tells."""
    try:
        said = admit(x)
        x.reply = (await said.rest(x) if isinstance(said, Later) else said) or await dispatch(x)
        try:
            await relay(x, out)
        except UpstreamError as error:
            await relay_another(x, out, error)
    except BaseException as error:
        x.error = error
        raise
    finally:
        if not x.settled:  # Else the last byte has left, and it was done before.
            x.settle()


async def relay_another(x: Exchange, out: Out, error: UpstreamError) -> None:
    """As long as nothing of a reply has left, another can take its place."""
    while not out.started and x.tries is not None:
        x.reply = await x.tries.instead(error)
        try:
            return await relay(x, out)
        except UpstreamError as failed:
            error = failed
    raise error
