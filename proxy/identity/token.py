"""A signed token taken apart (RFC 7519, compact form of RFC 7515), nothing of it believed yet.

Only what needs no key is checked here: the form, and a head that asks for nothing we do not do.
Keys that the head offers itself (`jwk`, `jku`, `x5u`, `x5c`) are never looked at (RFC 8725 §3.10),
and `crit`, which names what must be understood, is refused because nothing of it is.
"""

import binascii
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Any

from proxy.base.errors import NotAuthenticated
from proxy.identity.strict_json import strict_object

LONGEST = 16 * 1024
_PART = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_LONGEST_KID = 512
_ACCESS_TOKEN = "at+jwt"  # RFC 9068; some issuers put a word of their own before it.


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says of itself."""

    algorithm: str
    kid: str | None
    claims: dict[str, Any]
    signed: bytes  # What the signature is of.
    signature: bytes


def invalid(why: str) -> NotAuthenticated:
    """The refusal of a token. `why` quotes nothing of it and names nothing that we expect."""
    return NotAuthenticated(f"this token is not valid: {why}", code="invalid_token")


def read(text: str) -> Token | None:
    """The token, or None where `text` is none at all. Raises NotAuthenticated."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    if len(text) > LONGEST:
        raise invalid("it is too long")
    try:
        head = strict_object(_decoded(parts[0]))
    except ValueError:
        return None
    if "alg" not in head:
        return None
    algorithm, kid = _checked(head)
    try:
        claims = strict_object(_decoded(parts[1]))
        signature = _decoded(parts[2])
    except ValueError:
        raise invalid("it cannot be read") from None
    return Token(algorithm, kid, claims, f"{parts[0]}.{parts[1]}".encode("ascii"), signature)


def _checked(head: dict[str, Any]) -> tuple[str, str | None]:
    algorithm, kid, kind = head["alg"], head.get("kid"), head.get("typ", "JWT")
    if "crit" in head or "b64" in head:
        raise invalid("it asks for an extension that is not understood here")
    if not isinstance(algorithm, str) or not isinstance(kind, str):
        raise invalid("its head cannot be read")
    if kid is not None and (not isinstance(kid, str) or len(kid) > _LONGEST_KID):
        raise invalid("its head cannot be read")
    kind = kind.lower().removeprefix("application/")
    if kind != "jwt" and not kind.endswith(_ACCESS_TOKEN):
        raise invalid("it is a token for another purpose")
    return algorithm, kid


def _decoded(part: str) -> bytes:
    if not _PART.fullmatch(part):
        raise ValueError("it is not base64url")
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise ValueError("it is not base64url") from error
