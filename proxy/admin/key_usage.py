"""`GET /admin/keys/{id}/usage`: the report of `/admin/usage`, of one key.

Usage is counted by the key's name. A deleted key keeps its id here, and its usage.
"""

from aiohttp import web
from multidict import MultiDict

from proxy.admin.answers import answer_bytes
from proxy.admin.desk import Desk
from proxy.admin.keys import id_of, no_such_key
from proxy.admin.usage import report
from proxy.core.accounting import Reports


class KeyUsage:
    """Reports on one key."""

    def __init__(self, desk: Desk, reports: Reports) -> None:
        self._desk = desk
        self._reports = reports

    async def show(self, request: web.Request) -> web.Response:
        """What a key has used."""
        key = await self._desk.store.key(id_of(request))
        if key is None:
            raise no_such_key()
        return answer_bytes(await report(self._reports, MultiDict(request.query), key=key.name))
