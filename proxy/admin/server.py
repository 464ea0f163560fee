"""The HTTP server of the admin port, in control: off the hot path, so aiohttp's own application.

`/healthz`, `/readyz` and `/metrics` answer everybody who can reach the port; everything below
/admin is for whom the doorkeeper lets in. Whatever goes wrong is answered in OpenAI's shape.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from aiohttp import web

from proxy.admin.answers import NO_CACHE, answer, answer_bytes
from proxy.admin.asked import LARGEST_BODY, ORIGIN
from proxy.admin.doorkeeper import Doorkeeper, KeyOnly
from proxy.admin.endpoints import Endpoint, Handler, ref
from proxy.admin.refusals import NoSuchMethod
from proxy.base.clock import wall
from proxy.base.errors import InternalError, NotFound, ProxyError, StoreUnavailable, TooLarge
from proxy.base.secret import Secret
from proxy.core.accounting import StoreAway
from proxy.core.identity import Origin
from proxy.wire.errors import envelope

log = logging.getLogger("llm-proxy.admin")

_AGAIN = ((b"retry-after", b"5"),)


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
        key: Callable[[], Secret | None] | Doorkeeper,
    ) -> None:
        """`ready` tells the state for /readyz; its `ready` is a boolean. `key`: that in force, or
        whoever decides."""
        self._page = page
        self._ready = ready
        self._doorkeeper = KeyOnly(key) if callable(key) else key
        self._began = wall()
        self._application = web.Application(
            middlewares=[self._guard], client_max_size=2 * LARGEST_BODY
        )
        self.open = (
            Endpoint(
                "GET", "/healthz", self._healthz, "healthz", "Whether the process lives.",
                ref("State"),
            ),
            Endpoint(
                "GET", "/readyz", self._readyz, "readyz", "How its parts are.",
                ref("State"), refusals=(503,),
            ),
            Endpoint(
                "GET", "/metrics", self._metrics, "metrics", "What Prometheus scrapes.",
                media="text/plain",
            ),
        )  # fmt: skip
        self.add(*(endpoint.route() for endpoint in self.open), *routes)
        self._runner: web.AppRunner | None = None
        self.port = 0

    def add(self, *routes: web.RouteDef) -> None:
        """Answer more than before; until it is started."""
        self._application.add_routes(routes)

    def served(self) -> Iterator[tuple[str, str]]:
        """Methods and paths of all that is answered."""
        for route in self._application.router.routes():
            if route.method != "HEAD" and route.resource is not None:  # GET brings HEAD along.
                yield route.method, route.resource.canonical

    async def start(self, host: str, port: int) -> None:
        """Begin to accept. Raises OSError when the address cannot be had; it can be tried again."""
        if self._runner is None:
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
            if request.path == "/admin" or request.path.startswith("/admin/"):
                await self._let_in(request)
            return await handler(request)
        except ProxyError as error:
            return _refusal(error)
        except StoreAway as error:
            words = f"the store cannot be used now: {error}"
            return _refusal(StoreUnavailable(words, headers=_AGAIN))
        except web.HTTPException as error:
            return _refusal(_translated(request, error))
        except Exception:  # A bug of ours: the caller gets an answer, the log the story.
            log.exception("%s %s failed", request.method, request.rel_url.raw_path[:200])
            return _refusal(InternalError("something went wrong here; the log has the rest"))

    async def _let_in(self, request: web.Request) -> None:
        given = request.headers.get("authorization", "")
        actor = await self._doorkeeper.actor(given, request.remote)
        request[ORIGIN] = Origin(actor, request.remote or "")

    async def _healthz(self, _request: web.Request) -> web.Response:
        return answer({"status": "ok", "up_seconds": round(wall() - self._began, 1)})

    async def _readyz(self, _request: web.Request) -> web.Response:
        state = self._ready()
        return answer(state, 200 if state.get("ready") else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        accept = request.headers.get("accept", "")
        return web.Response(
            body=self._page.render(accept),
            headers={**NO_CACHE, "content-type": self._page.content_type(accept)},
        )


def _translated(request: web.Request, error: web.HTTPException) -> ProxyError:
    shown = request.path[:200]
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return NoSuchMethod(
                f"`{shown}` takes {allowed}", headers=((b"allow", allowed.encode()),)
            )
        case web.HTTPRequestEntityTooLarge():
            return TooLarge(f"the body is larger than {LARGEST_BODY} bytes")
        case web.HTTPNotFound():
            return NotFound(f"`{shown}` is not known here")
        case _:
            problem = NotFound(error.reason)
            problem.status = error.status
            return problem


def _refusal(error: ProxyError) -> web.Response:
    headers = {name.decode(): value.decode() for name, value in error.headers}
    return answer_bytes(envelope(error), error.status, {**NO_CACHE, **headers})
