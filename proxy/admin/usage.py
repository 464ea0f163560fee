"""`GET /admin/usage`: the query of `llm-proxy usage` over HTTP, a page at a time.

    by, since, until, where     as on the command line; `by` and `where` may be repeated
    limit                       rows of a page, 1 to 1000, 100 unless told
    cursor                      `next_cursor` of the page before, with the same query

Beside the rows: what is not in them, because it waits in the spool or the store refused it.
Refusals are errors in OpenAI's shape that name the parameter; the server writes them.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web
from multidict import MultiMapping

from proxy.admin.answers import answer_bytes
from proxy.admin.endpoints import Endpoint, Parameter, ref
from proxy.base.clock import wall
from proxy.base.errors import BadRequest
from proxy.base.jsonio import dumps
from proxy.config.near import nearest
from proxy.core.accounting import Group, Reports, UsagePage, UsageQuery
from proxy.usage.report import Asked, BadQuery
from proxy.usage.report_cursor import cursor_after, resumed
from proxy.usage.report_values import figures_object, query_object, row_object
from proxy.usage.shipper import ShipperState

PATH = "/admin/usage"

_PARAMETERS = ("by", "since", "until", "where", "limit", "cursor")
_ONCE = ("since", "until", "limit", "cursor")
_LIMIT, _MOST = 100, 1000
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
USAGE_PARAMETERS = (
    Parameter("by", "query", "What to count by, such as `team`; may be repeated.", _TEXTS),
    Parameter("since", "query", "`7d`, `2026-11-01`, `2026-11-01T13:00Z`; UTC.", _TEXT),
    Parameter("until", "query", "The same; not part of the report.", _TEXT),
    Parameter("where", "query", "Only these, as `model=gpt-4o`; may be repeated.", _TEXTS),
    Parameter(
        "limit", "query", "Rows of a page.",
        {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _LIMIT},
    ),
    Parameter("cursor", "query", "`next_cursor` of the page before.", _TEXT),
)  # fmt: skip


def usage_routes(
    reports: Reports, shipping: Callable[[], ShipperState | None] = lambda: None
) -> list[web.RouteDef]:
    """The route alone; nothing is read before the first request. `shipping`: the shipper's state,
    None while there is none."""
    return [usage_endpoint(reports, shipping).route()]


def usage_endpoint(
    reports: Reports, shipping: Callable[[], ShipperState | None] = lambda: None
) -> Endpoint:
    """The route and its description."""

    async def handle(request: web.Request) -> web.Response:
        return answer_bytes(await report(reports, request.query, shipping))

    return Endpoint(
        "GET", PATH, handle, "get_usage", "What was used, by whom, and what it cost.",
        ref("Usage"), parameters=USAGE_PARAMETERS, refusals=(400,),
    )  # fmt: skip


async def report(
    reports: Reports,
    given: MultiMapping[str],
    shipping: Callable[[], ShipperState | None] = lambda: None,
    key: str | None = None,
) -> bytes:
    """The answer to a query. `key`: of this key alone. Raises BadRequest, StoreAway."""
    try:
        return await _answer(reports, given, shipping, key)
    except BadQuery as error:
        raise _refusal(error) from error


async def _answer(
    reports: Reports,
    given: MultiMapping[str],
    shipping: Callable[[], ShipperState | None],
    key: str | None,
) -> bytes:
    for name in given:
        _known(name)
    for name in _ONCE:
        if len(given.getall(name, ())) > 1:
            raise BadQuery(name, "may be given once")
    limit = _limit(given.get("limit"))
    where = tuple(given.getall("where", ()))
    if key is not None:
        if any(name.partition("=")[0].strip() == "key" for name in where):
            raise BadQuery("where", "does not take `key` here: the path names it")
        where += (f"key={key}",)
    asked = Asked(tuple(given.getall("by", ())), given.get("since"), given.get("until"), where)
    query, after = resumed(asked, given.get("cursor"), datetime.fromtimestamp(wall(), UTC))
    page = await reports.page(query, limit, after)
    return _body(asked, query, page, shipping())


def _body(asked: Asked, query: UsageQuery, page: UsagePage, state: ShipperState | None) -> bytes:
    last: Group | None = page.rows[-1].group if page.more else None
    return dumps(
        {
            "object": "list",
            **query_object(query),
            "data": [row_object(query.by, row) for row in page.rows],
            "has_more": page.more,
            "next_cursor": cursor_after(asked, query, last) if last is not None else None,
            "totals": figures_object(page.totals) if page.totals is not None else None,
            "waiting": _waiting(state) if state is not None else None,
            "dead_letters": state.dead if state is not None else None,
        }
    )


def _waiting(state: ShipperState) -> dict[str, object]:
    lag = state.lag
    return {
        "records": lag.records,
        "bytes": lag.bytes,
        "seconds": round(lag.seconds, 1),
        "error": state.reason,
    }


def _known(name: str) -> None:
    if name not in _PARAMETERS:
        near = nearest(name, _PARAMETERS)
        hint = f"did you mean `{near}`?" if near else f"there are {', '.join(_PARAMETERS)}"
        raise BadQuery(name[:64], f"is not a parameter; {hint}")


def _limit(text: str | None) -> int:
    if text is None:
        return _LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= _MOST):
        raise BadQuery("limit", f"must be a whole number from 1 to {_MOST}")
    return int(text)


def _refusal(error: BadQuery) -> BadRequest:
    return BadRequest(str(error), param=error.parameter, code="invalid_parameter")
