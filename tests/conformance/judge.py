"""OpenAI's own SDK as judge, in both its forms, behind one pair of methods.

    said = await judge.ask(lambda client: client.chat.completions.create(...))
    parts = await judge.all(lambda client: client.chat.completions.create(..., stream=True))

The synchronous client runs in a thread, the asynchronous one in the loop of the test. `sent` has
what the SDK put on the wire, to be compared with what reached the vendor.
"""

import asyncio
import inspect
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client, DefaultHttpx2Client, OpenAI

from tests.fakes.vendor import Request

Call = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as the SDK wrote it."""

    method: str
    target: str
    content_type: str | None
    body: bytes


def arrived(request: Request) -> Sent:
    """The same of a request as the vendor saw it."""
    content_type = request.header("content-type")
    return Sent(request.method, request.target, content_type, request.body)


class Judge(Protocol):
    """One of the two clients."""

    sent: list[Sent]

    async def ask(self, call: Call, **options: Any) -> Any:
        """What a call returns. `options` go to the client's `with_options`."""

    async def all(self, call: Call, **options: Any) -> list[Any]:
        """Everything that a call's stream or page yields."""

    async def close(self) -> None: ...


class AsyncJudge:
    """`AsyncOpenAI`."""

    def __init__(self, url: str, key: str) -> None:
        self.sent: list[Sent] = []
        http = DefaultAsyncHttpx2Client(
            event_hooks={"request": [self._note]}, verify=_no_authorities(), trust_env=False
        )
        self._client = AsyncOpenAI(base_url=url, api_key=key, max_retries=0, http_client=http)

    async def ask(self, call: Call, **options: Any) -> Any:
        result = call(self._client.with_options(**options))
        return await result if inspect.isawaitable(result) else result

    async def all(self, call: Call, **options: Any) -> list[Any]:
        return [part async for part in await self.ask(call, **options)]

    async def close(self) -> None:
        await self._client.close()

    async def _note(self, request: httpx2.Request) -> None:
        self.sent.append(_written(request, await request.aread()))


class SyncJudge:
    """`OpenAI`, in a thread."""

    def __init__(self, url: str, key: str) -> None:
        self.sent: list[Sent] = []
        http = DefaultHttpx2Client(
            event_hooks={"request": [self._note]}, verify=_no_authorities(), trust_env=False
        )
        self._client = OpenAI(base_url=url, api_key=key, max_retries=0, http_client=http)

    async def ask(self, call: Call, **options: Any) -> Any:
        return await asyncio.to_thread(call, self._client.with_options(**options))

    async def all(self, call: Call, **options: Any) -> list[Any]:
        return await asyncio.to_thread(lambda: list(call(self._client.with_options(**options))))

    async def close(self) -> None:
        await asyncio.to_thread(self._client.close)

    def _note(self, request: httpx2.Request) -> None:
        self.sent.append(_written(request, request.read()))


def _no_authorities() -> ssl.SSLContext:
    """For clients that never use TLS: reading the authorities would take most of a test."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _written(request: httpx2.Request, body: bytes) -> Sent:
    target = request.url.raw_path.decode("ascii")
    return Sent(request.method, target, request.headers.get("content-type"), body)


JUDGES: dict[str, Callable[[str, str], Judge]] = {"async": AsyncJudge, "sync": SyncJudge}
