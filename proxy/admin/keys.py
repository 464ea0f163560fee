"""`/admin/keys`: make, list, show, change, block and delete virtual keys.

Each change is read, checked and written within one turn of the store, with its entry in the audit
log. A key is shown in the answer that makes it and nowhere else.
"""

from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from proxy.admin import asked, paging
from proxy.admin.answers import answer, key_object, page
from proxy.admin.asked import MERGE_PATCH, ORIGIN
from proxy.admin.desk import Desk, refuse_deleted_owners, same
from proxy.admin.documents import defaults_of, key_document, merged
from proxy.admin.key_material import imported, is_id, new_id, new_key
from proxy.admin.refusals import Conflict
from proxy.base.errors import NotFound
from proxy.base.secret import Secret, fingerprint
from proxy.config.callers import VirtualKey
from proxy.core.identity import Change, Document, KeyFilter, StoredKey

PATH = "/admin/keys"


class Keys:
    """Answers what is asked below /admin/keys."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._defaults = defaults_of(VirtualKey, "name")

    async def create(self, request: web.Request) -> web.Response:
        """Make a key, or take one over that exists."""
        store = self._desk.store
        data = await asked.body(request)
        known = imported(data)
        document = key_document(data)
        self._desk.refuse_inexact(document)
        key: Secret | None = None
        if known is None:
            key = new_key()
            known = fingerprint(key.reveal())
        self._desk.refuse_configured_key(document["name"], known)
        made = StoredKey(new_id(), known, document)
        async with store.change(request[ORIGIN]) as change:
            await _refuse_known(change, made)
            await refuse_deleted_owners(change, document)
            made = await change.save_key("create", made)
        shown = self.shown(made)
        if key is not None:
            shown["key"] = key.reveal()
        return answer(shown, 201, version=made.version, location=f"{PATH}/{made.id}")

    async def list(self, request: web.Request) -> web.Response:
        """A page of the keys."""
        store = self._desk.store
        given = asked.query(request, "limit", "cursor", "name", "team", "user", "deleted")
        wanted = KeyFilter(
            given.get("name"), given.get("team"), given.get("user"), asked.flag(given, "deleted")
        )
        limit = asked.limit(given)
        after = paging.place("keys", given.get("cursor"), str)
        found = await store.keys(wanted, limit + 1, str(after[0]) if after else None)
        rows, cursor = paging.cut(found, limit, "keys", lambda key: (key.id,))
        return page([self.shown(key) for key in rows], cursor)

    async def show(self, request: web.Request) -> web.Response:
        """One key."""
        store = self._desk.store
        asked.query(request)
        key = await store.key(id_of(request))
        if key is None or key.deleted is not None:
            raise no_such_key()
        return answer(self.shown(key), version=key.version)

    async def patch(self, request: web.Request) -> web.Response:
        """Change some fields of a key (RFC 7396)."""
        patch = await asked.body(request, asked.JSON, MERGE_PATCH)
        return await self._revise(request, "update", lambda old: merged(old, patch))

    async def put(self, request: web.Request) -> web.Response:
        """Replace all fields of a key."""
        data = await asked.body(request)
        return await self._revise(request, "replace", lambda old: {"name": old["name"], **data})

    async def _revise(
        self, request: web.Request, action: str, revised: Callable[[Document], Document]
    ) -> web.Response:
        store, expected = self._desk.store, asked.versions(request, required=True)
        async with store.change(request[ORIGIN]) as change:
            before = await living(change, id_of(request), expected)
            document = key_document(revised(before.document))
            same("name", before.name, document["name"])
            self._desk.refuse_inexact(document)
            await refuse_deleted_owners(change, _new_owners(before.document, document))
            key = await change.save_key(action, replace(before, document=document), before)
        return answer(self.shown(key), version=key.version)

    async def delete(self, request: web.Request) -> web.Response:
        """Revoke a key for ever. What was recorded of it stays."""
        store, expected = self._desk.store, asked.versions(request, required=True)
        async with store.change(request[ORIGIN]) as change:
            before = await living(change, id_of(request), expected)
            gone = replace(before, deleted=change.now, old_hash=None, old_until=None)
            key = await change.save_key("delete", gone, before)
        return answer(self.shown(key), version=key.version)

    async def block(self, request: web.Request) -> web.Response:
        """Refuse a key until it is unblocked."""
        return await self._set_blocked(request, "block", blocked=True)

    async def unblock(self, request: web.Request) -> web.Response:
        """Take a blocked key again."""
        return await self._set_blocked(request, "unblock", blocked=False)

    async def _set_blocked(
        self, request: web.Request, action: str, *, blocked: bool
    ) -> web.Response:
        store, expected = self._desk.store, asked.versions(request, required=False)
        asked.only(await asked.body(request, optional=True))
        async with store.change(request[ORIGIN]) as change:
            key = await living(change, id_of(request), expected)
            if bool(key.document.get("blocked", False)) != blocked:
                document = {**key.document, "blocked": blocked}
                key = await change.save_key(action, replace(key, document=document), key)
        return answer(self.shown(key), version=key.version)

    def shown(self, key: StoredKey) -> dict[str, object]:
        """A key as answers have it."""
        return key_object(key, self._defaults)


def id_of(request: web.Request) -> str:
    """The id in the path."""
    id_ = request.match_info["id"]
    if not is_id(id_):
        raise no_such_key()
    return id_


def no_such_key() -> NotFound:
    """There is no living key of that id."""
    return NotFound("there is no key of this id", code="key_not_found")


async def _refuse_known(change: Change, made: StoredKey) -> None:
    if (same := await change.key_named(made.name)) is not None:
        raise Conflict(
            f"there is a key of this name, {same.id}: choose another, or change or rotate that one",
            code="name_taken",
            param="name",
        )
    if (holder := await change.holder(made.hash)) is not None:
        raise Conflict(
            f"this key is known already, as {holder.id}; leave `key` or `hash` out for a new one",
            code="key_known",
        )


async def living(change: Change, id_: str, expected: str | None) -> StoredKey:
    """A key that is to be changed, in a version that was expected."""
    key = await change.key(id_)
    if key is None:
        raise no_such_key()
    asked.agree(expected, key.version)
    return key


def _new_owners(before: Document, after: Document) -> Document:
    """The owners that a change brings: one that was deleted since may stay."""
    return {kind: name for kind, name in after.items() if before.get(kind) != name}
