"""The demo vendor's pure handlers behind a real socket, for the official SDK to judge."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from openai import AsyncOpenAI

from proxy.base import jsonio
from proxy.demo.content import Content, Request
from proxy.demo.operations import answered, handler_of, path_of, unknown
from tests.fakes.vendor import Reply, Vendor
from tests.fakes.vendor import Request as Received

Ask = Callable[..., tuple[int, Any]]


def content_of(method: str, target: str, body: bytes, media: str = "") -> Content:
    path = path_of(target)
    handler = handler_of(method, path)
    if handler is None:
        return unknown(method, path)
    return answered(handler, Request(path, media, body))


def _reply(received: Received) -> Reply:
    media = received.header("content-type") or ""
    content = content_of(received.method, received.target, received.body, media)
    headers = [("content-type", content.media)]
    return Reply(content.status, headers, chunks=content.parts, framing="chunked")


@pytest.fixture
async def client() -> AsyncIterator[AsyncOpenAI]:
    async with Vendor() as vendor:
        vendor.always(_reply)
        async with AsyncOpenAI(base_url=vendor.url, api_key="k", max_retries=0) as client:
            yield client


@pytest.fixture
def ask() -> Ask:
    """POST fields to a path; gives the status and the parsed answer, a list for a stream."""

    def post(path: str, /, **fields: Any) -> tuple[int, Any]:
        content = content_of("POST", f"/v1/{path}", jsonio.dumps(fields))
        if not content.paced:
            return content.status, jsonio.loads(b"".join(content.parts))
        return content.status, [
            jsonio.loads(part.partition(b"data: ")[2])
            for part in content.parts
            if part != b"data: [DONE]\n\n"
        ]

    return post
