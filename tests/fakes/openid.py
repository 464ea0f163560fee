"""An identity provider on a real socket: its OpenID configuration and its keys.

    async with OpenIdProvider() as provider:
        provider.keys = [key.jwk()]
        provider.away = True            # connections are closed without an answer
        provider.answers["/keys"] = (500, b"")
        provider.hold.clear()           # answers wait until it is set

`asked` lists the targets of all requests.
"""

import asyncio
from types import TracebackType
from typing import Any

from proxy.base.jsonio import dumps
from proxy.base.tasks import Tasks
from tests.fakes.http_in import read_head

DISCOVERY = "/.well-known/openid-configuration"


class OpenIdProvider:
    """Answers GET; an async context manager."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.away = False
        self.hold = asyncio.Event()
        self.hold.set()
        self._arrived = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks = Tasks()

    @property
    def issuer(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def jwks(self) -> str:
        return f"{self.issuer}/keys?tenant=a"

    async def arrival(self, number: int) -> None:
        """Return when so many requests have come."""
        while len(self.asked) < number:
            self._arrived.clear()
            await self._arrived.wait()

    async def __aenter__(self) -> "OpenIdProvider":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._tasks.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _ = self._tasks.spawn(self._serve(reader, writer), name="openid provider")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await read_head(reader, 1)
            if request is None:
                return
            assert request.method == "GET"
            self.asked.append(request.target)
            self._arrived.set()
            await self.hold.wait()
            if not self.away:
                status, body = self._answer(request.target)
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))
                writer.write(body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The proxy went; the connection is closed below.
        finally:
            writer.close()

    def _answer(self, target: str) -> tuple[int, bytes]:
        path = target.partition("?")[0]
        if path in self.answers:
            return self.answers[path]
        if path == DISCOVERY:
            return 200, dumps({"issuer": self.issuer, "jwks_uri": self.jwks})
        if path == "/keys":
            return 200, dumps({"keys": self.keys})
        return 404, b"not here"
