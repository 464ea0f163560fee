"""From a request on a connection to the life of a request, and its errors back to the caller."""

import logging
import re
from asyncio import CancelledError
from typing import Final

from proxy.base.errors import BadRequest, InternalError, NotFound, ProxyError
from proxy.base.ids import RequestIds
from proxy.base.jsonio import dumps
from proxy.core.exchange import Exchange
from proxy.core.life import serve
from proxy.core.runtime import Runtime
from proxy.server.out import HttpOut
from proxy.server.ports import Request
from proxy.wire import operations

log = logging.getLogger("llm-proxy.server")

_JSON: Final = [(b"content-type", b"application/json")]
# A path must mean the same to us and to the vendor: no dot segments, in no spelling, no backslash.
_AMBIGUOUS: Final = re.compile(
    r"(?:^|/|%2f|\\|%5c)(?:\.|%2e){1,2}(?:$|/|%2f|\\|%5c)|//|%00", re.IGNORECASE
)


class Handler:
    """Serves every request with the runtime that is current when it arrives."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._ids = RequestIds()
        self.in_flight = 0

    async def __call__(self, arrival: Request) -> None:
        runtime = self.runtime
        arrival.id = self._ids.new()
        own = b"x-request-id: %b\r\n%b" % (arrival.id.encode(), runtime.head_lines)
        out = HttpOut(arrival.connection, arrival, own)
        self.in_flight += 1
        try:
            found = operations.find(arrival.method, arrival.path)
            if found is None or not found[0].has_model:
                found = self._look_closer(runtime, arrival, out)
            if found is not None:
                await serve(Exchange(runtime, arrival, *found), out)
        except ProxyError as error:
            self._refuse(out, error)
        except CancelledError:
            if out.started:
                out.cut()
            raise
        except ConnectionError:
            arrival.keep_alive = False  # The caller is gone; nobody is there to be told.
        except Exception:
            # A bug of ours: the caller gets an answer, the log the story.
            log.exception("%s failed", arrival.id)
            self._refuse(out, InternalError("something went wrong in the proxy; its log says what"))
        finally:
            self.in_flight -= 1

    def _look_closer(
        self, runtime: Runtime, arrival: Request, out: HttpOut
    ) -> tuple[operations.Operation, str] | None:
        """What is no operation with a path of its own: health, other paths, or nonsense."""
        if arrival.path in {"/healthz", "/readyz"}:
            self._health(runtime, arrival.path, out)
            return None
        if _AMBIGUOUS.search(arrival.path) or not arrival.path.isascii():
            raise BadRequest("the path is ambiguous or not percent-encoded", code="bad_path")
        if arrival.upgrade and arrival.headers.get("upgrade", "").lower() == "websocket":
            raise BadRequest(
                "WebSocket (the realtime API) is not built in this version", code="not_supported"
            )
        found = operations.find(arrival.method, arrival.path)
        if found is None:
            raise NotFound(
                f"`{arrival.method} {arrival.path[:200]}` is not known here; "
                "OpenAI's API lives below /v1",
                code="unknown_url",
            )
        return found

    def _health(self, runtime: Runtime, path: str, out: HttpOut) -> None:
        if path == "/healthz":
            out.whole(200, _JSON, dumps({"status": "ok"}))
        elif out.arrival.connection.draining:
            out.whole(503, _JSON, dumps({"status": "draining"}))
        else:
            runtime.ledger.admit()  # Where no record can be written, nothing is served.
            if runtime.directory is not None:
                runtime.directory.refuse_unready()
            out.whole(200, _JSON, dumps({"status": "ready", "config": runtime.version}))

    def _refuse(self, out: HttpOut, error: ProxyError) -> None:
        if out.started:  # A head is out: only an end without an end is true now.
            out.cut()
            return
        out.refuse(error)
