"""The admin port with a real store, for tests: asks it, and reads what it answers."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from proxy.admin.doorkeeper import KeyOrRole
from proxy.admin.endpoints import Endpoint
from proxy.admin.routes import Sources, admin_endpoints
from proxy.admin.server import AdminServer
from proxy.base.jsonio import dumps, loads
from proxy.config.settings import Settings
from proxy.stores.postgres.identity import PostgresIdentity
from proxy.stores.postgres.reports import PostgresReports

if TYPE_CHECKING:
    from proxy.admin.targets import Standing

ADMIN = "admin-key-of-these-tests"


class NoMetrics:
    """A page of nothing."""

    def render(self, accept: str = "") -> bytes:
        return accept.encode()

    def content_type(self, accept: str = "") -> str:
        return accept or "text/plain"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer. `text` is all of it, heads included, to look for what must not be there."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str

    @property
    def etag(self) -> str:
        return self.headers["ETag"]

    @property
    def error(self) -> tuple[int, str, str | None]:
        """Status, code and param of a refusal in OpenAI's shape."""
        error = self.body["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return self.status, error["code"], error["param"]

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


class Port:
    """Asks the port with a key."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        endpoints: tuple[Endpoint, ...],
        served: set[tuple[str, str]],
        port: int,
    ) -> None:
        self._http = http
        self.endpoints = endpoints
        self.served = served  # Methods and paths.
        self.port = port
        self.settings = settings()
        self.key = ADMIN
        self.standings: Sequence[Standing] = ()  # What workers say of targets.

    async def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        /,
        *,
        match: str | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Told:
        sent = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        if match is not None:
            sent["if-match"] = match
        if body is not None:
            data = dumps(body)
        sent |= headers or {}
        async with self._http.request(method, path, data=data, headers=sent) as answer:
            raw = await answer.read()
            assert answer.content_type == "application/json"
            text = f"{dict(answer.headers)} {raw.decode()}"
            return Told(answer.status, answer.headers.copy(), loads(raw), text)

    async def make(self, name: str, /, **fields: object) -> Any:
        """A new key, as it was answered."""
        told = await self("POST", "/admin/keys", {"name": name, **fields})
        assert told.status == 201, told.text
        return told.body


def settings(**changed: object) -> Settings:
    """A configuration with the admin key."""
    return Settings.model_validate({"admin": {"key": ADMIN}, "auth": "none", **changed})


@asynccontextmanager
async def admin_port(
    address: str | Callable[[], str | None] | None, **changed: object
) -> AsyncIterator[Port]:
    """The port, with the store at that address."""
    found = address if callable(address) else lambda: address
    store = PostgresIdentity(found)

    def now() -> Settings:
        return port.settings

    server = AdminServer(NoMetrics(), lambda: {"ready": True}, (), KeyOrRole(now, store))
    sources = Sources(store, now, PostgresReports(found), standings=lambda: port.standings)
    endpoints = admin_endpoints(sources, "0", server.open)
    server.add(*(endpoint.route() for endpoint in endpoints))
    await server.start("127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
        port = Port(http, (*server.open, *endpoints), set(server.served()), server.port)
        port.settings = settings(**changed)
        try:
            yield port
        finally:
            await server.stop()
