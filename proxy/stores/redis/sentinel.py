"""Ask sentinels who the primary is, then dial that.

Any sentinel will do, in the order of the URL. What it says may be old: `dial` refuses a replica,
and the next try asks again.
"""

import asyncio
from collections.abc import Callable

from proxy.stores.redis.address import Address, Endpoint
from proxy.stores.redis.dial import NoRedis, Ready, ask, connect, dial

_TIMEOUT = 1.0


async def dial_primary(address: Address, deadline: float, on_lost: Callable[[str], None]) -> Ready:
    """A connection to the primary of the service. Raises NoRedis."""
    reasons = []
    for sentinel in address.endpoints:
        try:
            primary = await _primary(address, sentinel, deadline)
            return await dial(address, primary, deadline, on_lost)
        except NoRedis as error:
            reasons.append(str(error))
    raise NoRedis("; ".join(reasons))


async def _primary(address: Address, sentinel: Endpoint, deadline: float) -> Endpoint:
    link = await connect(address, sentinel, deadline, _not_minded)
    try:
        async with asyncio.timeout(_TIMEOUT):
            found = await ask(
                link, b"SENTINEL", b"get-master-addr-by-name", address.service.encode()
            )
    except TimeoutError as error:
        raise NoRedis(f"the sentinel {sentinel} does not answer") from error
    finally:
        link.close("asked")
    if not found:
        raise NoRedis(f"the sentinel {sentinel} knows no service {address.service}")
    return Endpoint(found[0].decode(), int(found[1]))


def _not_minded(reason: str) -> None:
    """The end of a connection that was for one question."""
