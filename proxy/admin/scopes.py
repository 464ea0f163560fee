"""`/admin/teams`, `/users`, `/projects` by name, and `/admin/budgets`: the walls of any scope.

Both are views of the same rows: `/admin/teams/search` is `/admin/budgets/team:search`. The walls of
a key, for all models or for one, belong to the key.
"""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from aiohttp import web

from proxy.admin import asked, paging
from proxy.admin.answers import answer, page, scope_object
from proxy.admin.asked import MERGE_PATCH, ORIGIN
from proxy.admin.desk import SETTINGS_OF, Desk
from proxy.admin.documents import defaults_of, merged, scope_document
from proxy.admin.refusals import Conflict
from proxy.base.errors import BadRequest, NotFound
from proxy.config.near import nearest
from proxy.config.scopes import ScopeSettings
from proxy.config.values import label
from proxy.core.identity import Change, Document, StoredScope
from proxy.core.quota import ScopeKind

KINDS: tuple[ScopeKind, ...] = tuple(SETTINGS_OF)
_OF_KEYS = frozenset({"key", "key_model"})


class Scopes:
    """Answers what is asked below one of these paths. `kind`: of all entries, or None: any."""

    def __init__(self, desk: Desk, path: str, kind: ScopeKind | None) -> None:
        self._desk = desk
        self._path = path
        self._kind = kind
        self._listed = path.rpartition("/")[2]
        self._defaults = defaults_of(ScopeSettings)

    async def create(self, request: web.Request) -> web.Response:
        """Make an entry; one that was deleted is made anew."""
        store = self._desk.store
        data = await asked.body(request)
        kind, name = self._named(data)
        document = scope_document(data)
        self._desk.refuse_inexact(document)
        self._desk.refuse_unrecorded(kind, document)
        self._desk.refuse_configured_scope(kind, name)
        async with store.change(request[ORIGIN]) as change:
            before = await change.scope(kind, name)
            if before is not None and before.deleted is None:
                raise Conflict(
                    f"there is an entry for this {kind}: change it with PATCH or PUT",
                    code="name_taken",
                    param="name",
                )
            made = await change.save_scope("create", StoredScope(kind, name, document), before)
        location = f"{self._path}/{quote(made.name if self._kind else made.id, safe='')}"
        return answer(self._shown(made), 201, version=made.version, location=location)

    async def list(self, request: web.Request) -> web.Response:
        """A page of the entries."""
        store = self._desk.store
        known = ("limit", "cursor") if self._kind else ("limit", "cursor", "kind")
        given = asked.query(request, *known)
        kind = self._kind or (_kind(given["kind"], "kind") if "kind" in given else None)
        limit = asked.limit(given)
        after = paging.place(self._listed, given.get("cursor"), str, str)
        behind = (str(after[0]), str(after[1])) if after else None
        found = await store.scopes(kind, limit + 1, behind)
        rows, cursor = paging.cut(
            found, limit, self._listed, lambda scope: (scope.kind, scope.name)
        )
        return page([self._shown(scope) for scope in rows], cursor)

    async def show(self, request: web.Request) -> web.Response:
        """One entry."""
        store = self._desk.store
        asked.query(request)
        scope = await store.scope(*self._meant(request))
        if scope is None:
            raise _no_such()
        return answer(self._shown(scope), version=scope.version)

    async def patch(self, request: web.Request) -> web.Response:
        """Change some fields of an entry (RFC 7396)."""
        patch = await asked.body(request, asked.JSON, MERGE_PATCH)
        return await self._revise(request, "update", lambda old: merged(old, patch))

    async def put(self, request: web.Request) -> web.Response:
        """Replace all fields of an entry."""
        data = await asked.body(request)
        return await self._revise(request, "replace", lambda _: data)

    async def _revise(
        self, request: web.Request, action: str, revised: Callable[[Document], Document]
    ) -> web.Response:
        store, expected = self._desk.store, asked.versions(request, required=True)
        kind, name = self._meant(request)
        async with store.change(request[ORIGIN]) as change:
            before = await _living(change, kind, name, expected)
            document = scope_document(revised(before.document))
            self._desk.refuse_inexact(document)
            self._desk.refuse_unrecorded(kind, document)
            scope = await change.save_scope(action, replace(before, document=document), before)
        return answer(self._shown(scope), version=scope.version)

    async def delete(self, request: web.Request) -> web.Response:
        """Take an entry away. Keys of a deleted team, user or project are refused from then on."""
        store, expected = self._desk.store, asked.versions(request, required=True)
        kind, name = self._meant(request)
        async with store.change(request[ORIGIN]) as change:
            before = await _living(change, kind, name, expected)
            gone = replace(before, deleted=change.now)
            scope = await change.save_scope("delete", gone, before)
        return answer(self._shown(scope), version=scope.version)

    def _named(self, data: dict[str, object]) -> tuple[ScopeKind, str]:
        """Which scope a body is about, taken out of it."""
        field = "name" if self._kind else "id"
        given = data.pop(field, None)
        if not isinstance(given, str):
            raise BadRequest(f"`{field}` must be text", param=field, code="invalid_value")
        return (self._kind, _name(given, field)) if self._kind else _scope(given)

    def _meant(self, request: web.Request) -> tuple[ScopeKind, str]:
        """Which scope the path is about."""
        given = request.match_info["id"]
        try:
            return (self._kind, _name(given, "name")) if self._kind else _scope(given)
        except BadRequest as error:
            raise NotFound(error.message, code="scope_not_found") from None

    def _shown(self, scope: StoredScope) -> dict[str, object]:
        return scope_object(scope, self._defaults)


def _scope(given: str) -> tuple[ScopeKind, str]:
    kind, found, name = given.partition(":")
    known = _kind(kind, "id")
    if known == "global":
        if found:
            raise BadRequest("`global` has no name", param="id", code="invalid_value")
        return known, ""
    return known, _name(name, "id")


def _kind(given: str, param: str) -> ScopeKind:
    for kind in KINDS:
        if kind == given:
            return kind
    if given in _OF_KEYS:
        words = "limits and budgets of a key stand in the key: `/admin/keys/{id}`, there also "
        raise BadRequest(words + "`model_limits`", param=param, code="invalid_value")
    near = nearest(given, KINDS)
    hint = f"did you mean `{near}`?" if near else f"there are {', '.join(KINDS)}"
    raise BadRequest(
        f"`{param}` must begin with a kind of scope, as in `team:search`; {hint}",
        param=param,
        code="unknown_scope",
    )


def _name(given: str, param: str) -> str:
    try:
        return label(given)
    except ValueError as error:
        raise BadRequest(f"`{param}` {error}", param=param, code="invalid_value") from None


def _no_such() -> NotFound:
    return NotFound("there is no entry for it", code="scope_not_found")


async def _living(change: Change, kind: ScopeKind, name: str, expected: str | None) -> StoredScope:
    scope = await change.scope(kind, name)
    if scope is None or scope.deleted is not None:
        raise _no_such()
    asked.agree(expected, scope.version)
    return scope
