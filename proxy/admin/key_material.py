"""Keys and their ids. A key is seen once, by whoever made it; what stays is its SHA-256.

Ids sort by the time of their making (48 bits of milliseconds, 80 random bits, as in ULID), so a
list by id is a list in order. A key that a repeated rotation must give again is not kept either: it
is worked out anew from a random seed of the store and two things that the store does not have, the
caller's idempotency key and the admin key.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Any

from proxy.base.clock import wall
from proxy.base.errors import BadRequest
from proxy.base.secret import Secret, fingerprint

SEED = 32
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: none that looks like another.
_LETTERS = 26
_ID = re.compile(f"key_[{_ALPHABET}]{{{_LETTERS}}}")
_RANDOM_BITS = 80
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_IMPORTED = re.compile(r"[!-~]{16,256}")


def new_id() -> str:
    """An id that nobody has."""
    number = int(wall() * 1000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    letters = (_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_LETTERS)))
    return f"key_{''.join(letters)}"


def is_id(text: str) -> bool:
    """Whether this can be the id of a key."""
    return _ID.fullmatch(text) is not None


def new_key() -> Secret:
    """A key that nobody can guess."""
    return Secret(f"sk-{secrets.token_urlsafe(32)}")


def again(seed: bytes, admin: Secret, id_: str, idempotency: str) -> Secret:
    """The key that belongs to these four; nobody can guess it without the seed."""
    words = (admin.reveal().encode(), id_.encode(), idempotency.encode())
    # Lengths first: no two lists of words are the same message.
    message = b"".join(len(word).to_bytes(4, "big") + word for word in words)
    digest = hmac.digest(seed, message, hashlib.sha256)
    return Secret(f"sk-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}")


def imported(data: dict[str, Any]) -> bytes | None:
    """The SHA-256 of a key that exists already, taken out of a body: `key` itself, or `hash`."""
    key, hash_ = data.pop("key", None), data.pop("hash", None)
    if key is not None and hash_ is not None:
        raise BadRequest("give `key` or `hash`, not both", param="hash", code="invalid_value")
    if key is not None:
        if not isinstance(key, str) or not _IMPORTED.fullmatch(key):
            raise BadRequest(
                "`key` must be 16 to 256 visible ASCII characters; leave it out to get a new one",
                param="key",
                code="invalid_value",
            )
        return fingerprint(key)
    if hash_ is not None:
        if not isinstance(hash_, str) or not _HASH.fullmatch(hash_):
            raise BadRequest(
                "`hash` must be the SHA-256 of a key: 64 hexadecimal digits",
                param="hash",
                code="invalid_value",
            )
        return bytes.fromhex(hash_)
    return None
