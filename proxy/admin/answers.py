"""Answers of the admin API: JSON that no cache may keep, with a version where there is one."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from proxy.admin.asked import etag
from proxy.base.jsonio import dumps
from proxy.core.identity import Document, StoredKey, StoredScope

NO_CACHE: Mapping[str, str] = {"cache-control": "no-store", "server": "llm-proxy"}
"""Of every answer. `server`: aiohttp would name itself and its version."""


def answer(
    content: object, status: int = 200, *, version: int | None = None, location: str | None = None
) -> web.Response:
    """One JSON answer."""
    headers = dict(NO_CACHE)
    if version is not None:
        headers["etag"] = etag(version)
    if location is not None:
        headers["location"] = location
    return answer_bytes(dumps(content), status, headers)


def answer_bytes(
    content: bytes, status: int = 200, headers: Mapping[str, str] = NO_CACHE
) -> web.Response:
    """One answer whose JSON is written already."""
    return web.Response(
        body=content, status=status, content_type="application/json", headers=headers
    )


def page(data: Sequence[object], cursor: str | None) -> web.Response:
    """One page of a list."""
    return answer(
        {"object": "list", "data": data, "has_more": cursor is not None, "next_cursor": cursor}
    )


def key_object(key: StoredKey, defaults: Document) -> dict[str, Any]:
    """A key as it is shown: of the key itself the beginning of its SHA-256, to tell two apart."""
    return {
        "object": "key",
        "id": key.id,
        "version": key.version,
        "hash_prefix": key.hash.hex()[:8],
        "old_until": moment(key.old_until),
        "created": moment(key.created),
        "changed": moment(key.changed),
        "deleted": moment(key.deleted),
        **defaults,
        **key.document,
    }


def scope_object(scope: StoredScope, defaults: Document) -> dict[str, Any]:
    """A scope as it is shown."""
    return {
        "object": scope.kind,
        "id": scope.id,
        "kind": scope.kind,
        "name": scope.name,
        "version": scope.version,
        "created": moment(scope.created),
        "changed": moment(scope.changed),
        "deleted": moment(scope.deleted),
        **defaults,
        **scope.document,
    }


def moment(at: datetime | None) -> str | None:
    """A moment of UTC in ISO 8601."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if at is not None else None
