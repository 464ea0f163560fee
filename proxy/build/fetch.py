"""Fetches documents for the proxy itself, such as an issuer's keys, with the client for vendors.

TLS as for vendors, forward proxies too. One connection per document: they are rare. Redirects are
not followed: who answers must be who was configured.
"""

from urllib.parse import urlsplit

from proxy.base.errors import Malformed
from proxy.core.outgoing import Outgoing, Timeouts
from proxy.upstream.origin import Origin
from proxy.upstream.pool import PoolLimits
from proxy.upstream.proxies import ProxySettings, choose
from proxy.upstream.tls import make_context
from proxy.upstream.transport import HttpTransport

_LARGEST = 512 * 1024
_TIMEOUTS = Timeouts(connect=5.0, first_token=5.0, idle=5.0, total=10.0)
_ONE = PoolLimits(1, 0.0)
_HEADERS = ((b"Accept", b"application/json"), (b"User-Agent", b"llm-proxy"))


class HttpFetch:
    """GET, bounded in size and time."""

    __slots__ = ("_proxies", "_timeouts", "_tls")

    def __init__(self, proxies: ProxySettings, timeouts: Timeouts = _TIMEOUTS) -> None:
        """Reads the files of certificate authorities: not in the loop."""
        self._tls = make_context()
        self._proxies = proxies
        self._timeouts = timeouts

    async def __call__(self, url: str) -> bytes:
        """The body of a 200. Raises UpstreamError, and ValueError for what is no URL."""
        parts = urlsplit(url)
        origin, _ = Origin.parse(f"{parts.scheme}://{parts.netloc}")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        transport = HttpTransport(
            origin,
            _ONE,
            tls=self._tls if origin.secure else None,
            proxy=choose(origin, self._proxies),
        )
        try:
            answer = await transport.send(Outgoing("GET", target, _HEADERS, b""), self._timeouts)
            if answer.status != 200:
                answer.abort()
                raise Malformed(f"{origin.address} answered with status {answer.status}")
            return await answer.read(_LARGEST)
        finally:
            transport.close()
