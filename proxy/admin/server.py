"""The HTTP server of the admin port, in control: off the hot path, so aiohttp's own application.

`/healthz`, `/readyz` and `/metrics` answer everybody who can reach the port; everything below
/admin needs `admin.key` as a bearer token, and does not exist without one.
"""

import hmac
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from aiohttp import web

from proxy.base.clock import wall
from proxy.base.errors import AccessDenied, NotAuthenticated, NotFound, ProxyError
from proxy.base.jsonio import dumps
from proxy.base.secret import Secret
from proxy.wire.errors import envelope

log = logging.getLogger("llm-proxy.admin")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page(Protocol):
    """What /metrics shows."""

    def render(self, accept: str = "") -> bytes: ...
    def content_type(self, accept: str = "") -> str: ...


class AdminServer:
    """Listens on the admin port."""

    def __init__(
        self,
        page: Page,
        ready: Callable[[], dict[str, object]],
        routes: Iterable[web.RouteDef],
        key: Callable[[], Secret | None],
    ) -> None:
        """`ready` tells the state for /readyz; its `ready` is a boolean. `key`: that in force."""
        self._page = page
        self._ready = ready
        self._key = key
        self._began = wall()
        self._application = web.Application(middlewares=[self._guard])
        self._application.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                *routes,
            ]
        )
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Begin to accept. Raises OSError when the address cannot be had."""
        self._runner = web.AppRunner(self._application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path.startswith("/admin"):
                self._let_in(request)
            return await handler(request)
        except ProxyError as error:
            return _error(error)
        except web.HTTPNotFound:
            return _error(NotFound(f"`{request.path[:200]}` is not known here"))
        except web.HTTPException as error:
            problem = NotFound(error.reason)
            problem.status = error.status
            return _error(problem)

    def _let_in(self, request: web.Request) -> None:
        key = self._key()
        if key is None:
            raise AccessDenied("the admin API is off: `admin.key` is not set", code="admin_off")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode("utf-8", "surrogateescape"), key.reveal().encode()
        ):
            raise NotAuthenticated("send the admin key as `Authorization: Bearer <admin.key>`")

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _json({"status": "ok", "up_seconds": round(wall() - self._began, 1)})

    async def _readyz(self, _request: web.Request) -> web.Response:
        state = self._ready()
        return _json(state, 200 if state.get("ready") else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        accept = request.headers.get("accept", "")
        return web.Response(
            body=self._page.render(accept),
            headers={"content-type": self._page.content_type(accept)},
        )


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=dumps(body), status=status, content_type="application/json")


def _error(error: ProxyError) -> web.Response:
    return web.Response(body=envelope(error), status=error.status, content_type="application/json")
