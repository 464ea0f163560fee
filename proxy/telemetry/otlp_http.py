"""OTLP over HTTP: protobuf bodies, gzipped where they travel, by aiohttp's client, which is good
enough off the hot path. https://opentelemetry.io/docs/specs/otlp/#otlphttp

Every failure of the way (refused, reset, timed out) is a reason to try later; so are 429, 502, 503
and 504. Any other status is final: the same bytes would get the same answer.
"""

import asyncio
import gzip
from collections.abc import Mapping

import aiohttp

from proxy.telemetry.delivery import Later, Never, Signal, Verdict, retry_after, taken

_LATER = frozenset((429, 502, 503, 504))
_LONGEST_ANSWER = 64 * 1024
_SHOWN = 200


class HttpWay:
    """To one collector. `endpoint` is its base URL, or that of its traces."""

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        *,
        timeout: float,
        agent: str,
        packed: bool = True,
    ) -> None:
        self._base = endpoint.rstrip("/").removesuffix(Signal.TRACES.path)
        self._headers = {
            "user-agent": agent,
            **headers,
            "content-type": "application/x-protobuf",
            **({"content-encoding": "gzip"} if packed else {}),
        }
        self._packed = packed
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, signal: Signal, body: bytes) -> Verdict:
        """POST it."""
        sent = await asyncio.to_thread(pack, body) if self._packed else body
        try:
            async with self._open().post(
                self._base + signal.path, data=sent, allow_redirects=False
            ) as response:
                answer = await _beginning(response)
                return _verdict(signal, response, answer)
        except TimeoutError:
            return Later("no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Later(f"{type(error).__name__}: {error}"[:_SHOWN])

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(limit=2),
            )
        return self._session


def pack(body: bytes) -> bytes:
    """Gzipped at the lowest level: spans repeat themselves, so a higher one makes them a tenth
    smaller and takes twice as long."""
    return gzip.compress(body, 1, mtime=0)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The answer, or as much of it as anybody needs."""
    found = b""
    while len(found) < _LONGEST_ANSWER and (piece := await response.content.readany()):
        found += piece
    return found


def _verdict(signal: Signal, response: aiohttp.ClientResponse, answer: bytes) -> Verdict:
    if 200 <= response.status < 300:
        return taken(signal, answer)
    reason = f"HTTP {response.status}"
    if answer and response.content_type.startswith(("text/", "application/json")):
        reason += f": {answer[:_SHOWN].decode('utf-8', 'replace')!r}"
    if response.status in _LATER:
        return Later(reason, retry_after(response.headers.get("retry-after")))
    return Never(reason)
