"""`/admin/openapi.json`: the OpenAPI 3.1 document of the admin port, made from its table."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from proxy.admin.answers import answer_bytes
from proxy.admin.asked import JSON, MERGE_PATCH
from proxy.admin.endpoints import Endpoint, Handler, ref
from proxy.admin.schemas import schemas

PATH = "/admin/openapi.json"

_ALWAYS_BELOW_ADMIN = (401, 403, 503)


def openapi(endpoints: Iterable[Endpoint], release: str) -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "llm-proxy admin API", "version": release},
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"admin": {"type": "http", "scheme": "bearer"}},
        },
    }


def serving(document: bytes) -> Handler:
    """Answers with the document."""

    async def serve(_request: web.Request) -> web.Response:
        return answer_bytes(document)

    return serve


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    guarded = endpoint.path.startswith("/admin")
    refusals = sorted({*endpoint.refusals, *(_ALWAYS_BELOW_ADMIN if guarded else ())})
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "security": [{"admin": []}] if guarded else [],
        "parameters": [parameter.described() for parameter in endpoint.parameters],
        "responses": {
            str(endpoint.status): _answer(endpoint),
            **{str(status): _refusal(status) for status in refusals},
        },
    }
    if endpoint.body is not None:
        types = (JSON, MERGE_PATCH) if endpoint.method == "PATCH" else (JSON,)
        operation["requestBody"] = {
            "required": endpoint.body_required,
            "content": {type_: {"schema": dict(endpoint.body)} for type_ in types},
        }
    return operation


def _answer(endpoint: Endpoint) -> dict[str, Any]:
    schema = dict(endpoint.answer) if endpoint.answer is not None else {"type": "string"}
    return {
        "description": HTTPStatus(endpoint.status).phrase,
        "content": {endpoint.media: {"schema": schema}},
    }


def _refusal(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {JSON: {"schema": dict(ref("Error"))}},
    }
