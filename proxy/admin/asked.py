"""What a request to the admin API says: its body, the version it means, its query, who sends it.

Each reading either gives a plain value or raises an error that names what is wrong. Bodies are
small JSON objects; no value of them is echoed, for they may hold keys.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from proxy.admin.refusals import Outdated, VersionMissing
from proxy.base.errors import BadRequest, TooLarge, UnsupportedMedia
from proxy.base.jsonio import JSONError, loads
from proxy.config.near import nearest
from proxy.core.identity import Origin

ORIGIN = web.RequestKey("origin", Origin)
"""Who sends a request that was let in."""

LARGEST_BODY = 64 * 1024
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

_TAG = re.compile(r'(?:W/)?"[!#-~]*"')
_LIMIT, _MOST = 100, 1000
_VISIBLE = re.compile(r"[!-~]{1,255}")


async def body(request: web.Request, *types: str, optional: bool = False) -> dict[str, Any]:
    """The JSON object that was sent; with `optional`, an empty one where nothing was."""
    length = request.content_length
    if length is not None and length > LARGEST_BODY:
        raise _too_large()
    try:
        data = await request.content.readexactly(LARGEST_BODY + 1)
    except asyncio.IncompleteReadError as error:
        data = error.partial  # As it should be: it ends before that.
    else:
        raise _too_large()
    if optional and not data.strip():
        return {}
    accepted = types or (JSON,)
    if request.content_type not in accepted:
        raise UnsupportedMedia(f"send `content-type: {accepted[0]}`", param="content-type")
    try:
        parsed = loads(data)
    except JSONError as error:
        raise BadRequest(f"the body is not JSON: {error.msg}", code="invalid_json") from None
    if not isinstance(parsed, dict):
        raise BadRequest("the body must be a JSON object", code="invalid_json")
    return parsed


def _too_large() -> TooLarge:
    return TooLarge(f"the body is larger than {LARGEST_BODY} bytes")


def only(data: Mapping[str, Any], *known: str) -> None:
    """Refuse fields that a body may not have."""
    for name in data:
        if name not in known:
            raise BadRequest(_unknown(name, known), param=name[:64], code="unknown_field")


def query(request: web.Request, *known: str) -> dict[str, str]:
    """The query's parameters, each at most once and none that is not known."""
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            raise _parameter(name, _unknown(name, known))
        if name in found:
            raise _parameter(name, f"`{name}` may be given once")
        if "\0" in value:
            raise _parameter(name, f"`{name}` must be text without NUL")
        found[name] = value
    return found


def limit(given: Mapping[str, str]) -> int:
    """How many entries a page may have."""
    text = given.get("limit")
    if text is None:
        return _LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= _MOST):
        raise _parameter("limit", f"`limit` must be a whole number from 1 to {_MOST}")
    return int(text)


def flag(given: Mapping[str, str], name: str) -> bool:
    """A parameter that is true or false; false where it is not given."""
    match given.get(name):
        case None | "false":
            return False
        case "true":
            return True
        case _:
            raise _parameter(name, f"`{name}` must be true or false")


def versions(request: web.Request, *, required: bool) -> str | None:
    """What If-Match says. A change without it could undo somebody else's unseen."""
    values = request.headers.getall("if-match", [])
    if values:
        return ",".join(values)
    if required:
        raise VersionMissing(
            "send `if-match` with the `etag` of the last answer, or `*` for whatever is there",
            param="if-match",
        )
    return None


def agree(expected: str | None, version: int) -> None:
    """Refuse when the version that is there is not among those expected (RFC 9110 §13.1.1)."""
    if expected is None or expected.strip() == "*":
        return
    tags = [tag.strip() for tag in expected.split(",")]
    if not all(_TAG.fullmatch(tag) for tag in tags):
        raise BadRequest('if-match must be `*`, or one or several `"version"`', param="if-match")
    if etag(version) not in tags:
        raise Outdated(
            f"it has been changed meanwhile and is now version {version}; read it again",
            param="if-match",
        )


def etag(version: int) -> str:
    """The ETag of a version."""
    return f'"{version}"'


def idempotency_key(request: web.Request) -> str | None:
    """What makes a repeated request the same request."""
    values = request.headers.getall("idempotency-key", [])
    if not values:
        return None
    if len(values) > 1 or not _VISIBLE.fullmatch(values[0]):
        raise BadRequest(
            "idempotency-key must be one value of 1 to 255 visible ASCII characters",
            param="idempotency-key",
        )
    return values[0]


def _parameter(name: str, words: str) -> BadRequest:
    return BadRequest(words, param=name[:64], code="invalid_parameter")


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = nearest(name, known)
    hint = (
        f"did you mean `{near}`?" if near else f"known here: {', '.join(sorted(known)) or 'none'}"
    )
    shown = name if name.isprintable() and len(name) <= 64 else "this"
    return f"`{shown}` is not known; {hint}"
