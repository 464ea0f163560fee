"""`/admin/audit`: what was changed, by whom and from where; and whether the log is still whole."""

from aiohttp import web

from proxy.admin import asked, paging
from proxy.admin.answers import answer, moment, page
from proxy.admin.desk import Desk
from proxy.core.identity import Entry

PATH = "/admin/audit"


class Audit:
    """Reads the log."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(self, request: web.Request) -> web.Response:
        """A page of the log, the newest first."""
        store = self._desk.store
        given = asked.query(request, "limit", "cursor", "id")
        limit = asked.limit(given)
        after = paging.place("audit", given.get("cursor"), int)
        found = await store.audit(limit + 1, int(after[0]) if after else None, given.get("id"))
        rows, cursor = paging.cut(found, limit, "audit", lambda entry: (entry.seq,))
        return page([_entry_object(entry) for entry in rows], cursor)

    async def verify(self, request: web.Request) -> web.Response:
        """Follow the chain through the whole log."""
        store = self._desk.store
        asked.query(request)
        verdict = await store.verify()
        return answer(
            {
                "object": "audit_verdict",
                "valid": verdict.broken is None,
                "entries": verdict.entries,
                "seq": verdict.seq,
                "hash": verdict.hash.hex(),
                "broken": verdict.broken,
                "reason": verdict.reason,
            }
        )


def _entry_object(entry: Entry) -> dict[str, object]:
    return {
        "object": "audit_entry",
        "seq": entry.seq,
        "at": moment(entry.at),
        "actor": entry.actor,
        "address": entry.address,
        "action": entry.action,
        "kind": entry.kind,
        "id": entry.id,
        "before": entry.before,
        "after": entry.after,
        "previous": entry.previous.hex(),
        "hash": entry.hash.hex(),
    }
