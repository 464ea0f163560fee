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

from proxy.base.clock import wall
from proxy.base.errors import BadRequest, OperatorError
from proxy.base.jsonio import dumps
from proxy.config.near import nearest
from proxy.core.accounting import Group, Reports, StoreAway, UsagePage, UsageQuery
from proxy.usage.report import Asked, BadQuery
from proxy.usage.report_cursor import cursor_after, resumed
from proxy.usage.report_values import figures_object, query_object, row_object
from proxy.usage.shipper import ShipperState

PATH = "/admin/usage"

_PARAMETERS = ("by", "since", "until", "where", "limit", "cursor")
_ONCE = ("since", "until", "limit", "cursor")
_LIMIT, _MOST = 100, 1000


def usage_routes(
    reports: Reports, shipping: Callable[[], ShipperState | None] = lambda: None
) -> list[web.RouteDef]:
    """The routes; nothing is read before the first request. `shipping`: the shipper's state, None
    while there is none."""

    async def handle(request: web.Request) -> web.Response:
        try:
            body = await _answer(reports, request, shipping)
        except BadQuery as error:
            raise _refusal(error) from error
        except StoreAway as error:
            raise OperatorError(
                f"the store cannot be used now: {error}", code="store_unavailable"
            ) from error
        return web.Response(body=body, content_type="application/json")

    return [web.get(PATH, handle)]


async def _answer(
    reports: Reports, request: web.Request, shipping: Callable[[], ShipperState | None]
) -> bytes:
    given = request.query
    for name in given:
        _known(name)
    for name in _ONCE:
        if len(given.getall(name, ())) > 1:
            raise BadQuery(name, "may be given once")
    limit = _limit(given.get("limit"))
    asked = Asked(
        tuple(given.getall("by", ())),
        given.get("since"),
        given.get("until"),
        tuple(given.getall("where", ())),
    )
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
