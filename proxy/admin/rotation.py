"""`POST /admin/keys/{id}/rotate`: a new key under the same id, while the old one works for a while.

A caller whose connection broke cannot know whether the rotation was done. With an
`Idempotency-Key` the same request gives the same new key for 24 hours, without any key being kept
(`key_material.again`); once it cannot be given again, that is said.
"""

import hashlib
import hmac
import secrets
from dataclasses import replace
from datetime import timedelta

from aiohttp import web

from proxy.admin import asked
from proxy.admin.answers import answer
from proxy.admin.asked import ORIGIN
from proxy.admin.desk import Desk
from proxy.admin.key_material import SEED, again, new_key
from proxy.admin.keys import Keys, id_of, living
from proxy.admin.refusals import Conflict, NotTheSame
from proxy.base.errors import BadRequest
from proxy.base.secret import Secret, fingerprint
from proxy.config.values import seconds
from proxy.core.identity import Change, Rotation, StoredKey

GRACE = "24h"


class Rotations:
    """Gives keys new secrets."""

    def __init__(self, desk: Desk, keys: Keys) -> None:
        self._desk = desk
        self._keys = keys

    async def rotate(self, request: web.Request) -> web.Response:
        """Give a key a new secret; the old one works for a while."""
        store, expected = self._desk.store, asked.versions(request, required=False)
        grace = _grace(await asked.body(request, optional=True))
        idempotency, id_ = asked.idempotency_key(request), id_of(request)
        async with store.change(request[ORIGIN]) as change:
            before = await living(change, id_, None)
            if idempotency is not None:
                repeated = await self._repeated(change, before, idempotency, grace)
                if repeated is not None:
                    return self._answer(before, repeated)
            asked.agree(expected, before.version)
            key, rotation = self._new(id_, idempotency, grace)
            until = change.now + timedelta(seconds=grace)
            after = replace(
                before,
                hash=fingerprint(key.reveal()),
                old_hash=before.hash if grace else None,
                old_until=until if grace else None,
            )
            after = await change.save_key("rotate", after, before)
            if rotation is not None:
                await change.keep_rotation(rotation)
        return self._answer(after, key)

    def _new(
        self, id_: str, idempotency: str | None, grace: float
    ) -> tuple[Secret, Rotation | None]:
        if idempotency is None:
            return new_key(), None
        seed = secrets.token_bytes(SEED)
        rotation = Rotation(id_, _token(idempotency), _request(grace), seed)
        return again(seed, self._desk.admin_key, id_, idempotency), rotation

    async def _repeated(
        self, change: Change, key: StoredKey, idempotency: str, grace: float
    ) -> Secret | None:
        """What the same request got before, if it came before."""
        rotation = await change.rotation(key.id, _token(idempotency))
        if rotation is None:
            return None
        if rotation.request != _request(grace):
            raise NotTheSame("this idempotency key came before, with another `grace`")
        secret = again(rotation.seed, self._desk.admin_key, key.id, idempotency)
        if not hmac.compare_digest(fingerprint(secret.reveal()), key.hash):
            raise Conflict(
                "this rotation was done, and its key cannot be told again: the key was rotated "
                "once more, or `admin.key` is another now; rotate with a new idempotency key",
                code="rotation_done",
            )
        return secret

    def _answer(self, key: StoredKey, secret: Secret) -> web.Response:
        return answer(self._keys.shown(key) | {"key": secret.reveal()}, version=key.version)


def _grace(data: dict[str, object]) -> float:
    asked.only(data, "grace")
    try:
        return seconds(data.get("grace", GRACE))
    except ValueError as error:
        raise BadRequest(f"`grace` {error}", param="grace", code="invalid_value") from None


def _token(idempotency: str) -> bytes:
    return hashlib.sha256(idempotency.encode()).digest()


def _request(grace: float) -> str:
    return f"grace={grace:g}"
