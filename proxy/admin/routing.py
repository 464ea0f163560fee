"""`POST /admin/routing/explain`: what would become of a request, without sending it.

Answers as `llm-proxy explain --json` does, and knows more: keys of the store, and how the targets
are by the word of this host's workers. It is no change, so the audit log has no entry of it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from proxy.admin import asked
from proxy.admin.answers import answer
from proxy.admin.desk import Desk
from proxy.admin.targets import Standing
from proxy.base.errors import BadRequest, OperatorError
from proxy.base.jsonio import dumps
from proxy.build.explain import CHAT_PATH, Asked, Explainer, configured_caller
from proxy.build.lookup import stored_caller
from proxy.config.near import nearest
from proxy.core.caller import Caller
from proxy.core.identity import KeyFilter

PATH = "/admin/routing/explain"

_FIELDS = ("request", "key", "headers", "path")
_MOST_HEADERS = 64


class Routing:
    """Answers what is asked of routing."""

    def __init__(self, desk: Desk, standings: Callable[[], Iterable[Standing]]) -> None:
        self._desk = desk
        self._standings = standings

    async def explain(self, request: web.Request) -> web.Response:
        """The whole decision."""
        asked.query(request)
        data = await asked.body(request)
        asked.only(data, *_FIELDS)
        question = _question(data)
        who = await self._caller(_text(data, "key"))
        return answer(await asyncio.to_thread(self._explained, question, who))

    def _explained(self, question: Asked, who: Caller | None) -> dict[str, Any]:
        """In a thread: what is built reads files, and long prompts are looked at."""
        told = [each.targets for each in self._standings()]
        try:
            explainer = Explainer(self._desk.settings(), told)
        except OSError as error:
            reason = getattr(error, "strerror", None) or error
            raise OperatorError(f"a file of the configuration cannot be used: {reason}") from error
        try:
            return asyncio.run(explainer.explain(question, who))
        finally:
            explainer.close()

    async def _caller(self, name: str | None) -> Caller | None:
        settings = self._desk.settings()
        if settings.auth == "none":
            return None
        names = [key.name for key in settings.keys]
        if name is None:
            raise BadRequest("`key` must be the name of a key: who asks", param="key")
        found = configured_caller(settings, name)
        if found is None and settings.store != "none":
            stored = await self._desk.store.keys(KeyFilter(name=name), 1, None)
            if stored:
                found = stored_caller(dumps(dict(stored[0].document)))
        if found is None:
            near = nearest(name, names)
            hint = f"; did you mean `{near}`?" if near else ""
            raise BadRequest(f"there is no living key of this name{hint}", param="key")
        return found


def _question(data: Mapping[str, Any]) -> Asked:
    body = data.get("request")
    if not isinstance(body, dict):
        raise BadRequest("`request` must be the request's body, an object", param="request")
    path = _text(data, "path")
    return Asked(dumps(body), CHAT_PATH if path is None else path, _headers(data.get("headers")))


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"`{name}` must be text", param=name, code="invalid_type")
    return value


def _headers(given: object) -> tuple[tuple[str, str], ...]:
    if given is None:
        return ()
    if not isinstance(given, dict) or len(given) > _MOST_HEADERS:
        raise BadRequest("`headers` must be an object of header fields", param="headers")
    for name, value in given.items():
        plain = isinstance(value, str) and f"{name}{value}".isascii()
        if not plain or not f"{name}{value}".isprintable():
            raise BadRequest("`headers` must be names and values in ASCII", param="headers")
    return tuple(given.items())
