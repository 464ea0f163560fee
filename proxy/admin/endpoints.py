"""What the admin port answers, as a table: each row is a route and its description in one.

The OpenAPI document is made from the same rows, so none can be served and not described.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Schema = Mapping[str, Any]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """Of the path, the query or the header."""

    name: str
    place: Literal["path", "query", "header"]
    description: str
    schema: Schema
    required: bool = False

    def described(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        return {
            "name": self.name,
            "in": self.place,
            "description": self.description,
            "required": self.required or self.place == "path",
            "schema": dict(self.schema),
        }


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path. `answer`: a schema, or None for what is not JSON."""

    method: Method
    path: str
    handle: Handler
    name: str
    summary: str
    answer: Schema | None = None
    status: int = 200
    body: Schema | None = None
    body_required: bool = True
    parameters: tuple[Parameter, ...] = ()
    refusals: tuple[int, ...] = ()
    media: str = "application/json"

    def route(self) -> web.RouteDef:
        """As aiohttp has it."""
        return web.route(self.method, self.path, self.handle)


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}
