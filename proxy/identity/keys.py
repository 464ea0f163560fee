"""The public keys of an issuer (RFC 7517) and what each may be used for.

A key is bound to the algorithms of its own type and curve, and to the one it names, whatever a
token says: so no public key is ever taken for the secret of an HMAC, and no curve for another
(RFC 8725 §3.1, §3.2). Symmetric keys have no place in a published set; they and all else that
cannot be used are passed over.
"""

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from proxy.identity.strict_json import strict_object
from proxy.identity.token import Token

_FOR_RSA = frozenset(("RS256", "RS384", "RS512", "PS256"))
_FOR_CURVES = {
    ("EC", "P-256"): frozenset(("ES256",)),
    ("EC", "P-384"): frozenset(("ES384",)),
    ("OKP", "Ed25519"): frozenset(("EdDSA",)),
}
_PUBLIC = frozenset(("kty", "n", "e", "crv", "x", "y"))
_RSA_BITS = (2048, 8192)  # Less is weak (RFC 7518 §3.3), more takes too long to check.
_RSA_TEXT = (342, 1366)  # The same in base64url.
_MOST_KEYS = 64
_MOST_TRIED = 4

_TYPES: Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {
    "RSA": RSAKey,
    "EC": ECKey,
    "OKP": OKPKey,
}


class PublicKey:
    """One key, and the algorithms it is for."""

    __slots__ = ("_key", "algorithms", "kid", "said")

    def __init__(self, said: Mapping[str, Any]) -> None:
        """Raises ValueError for a key that cannot be used."""
        kind, kid = said.get("kty"), said.get("kid")
        if not isinstance(kind, str) or kind not in _TYPES:
            raise ValueError("its type is not known")
        if kid is not None and not isinstance(kid, str):
            raise ValueError("its name is no text")
        self.kid = kid
        self.said = {name: value for name, value in said.items() if name in _PUBLIC}
        self.algorithms = _algorithms(said)
        if kind == "RSA":
            _refuse_sizes(said.get("n"))
        try:
            self._key = _TYPES[kind].import_key(self.said)
            raw = self._key.public_key
        except (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError) as error:
            raise ValueError("it cannot be read") from error
        if isinstance(raw, RSAPublicKey) and not _RSA_BITS[0] <= raw.key_size <= _RSA_BITS[1]:
            raise ValueError(f"it has {raw.key_size} bits")

    def signed(self, token: Token) -> bool:
        """Whether the token's signature is by this key."""
        if token.algorithm not in self.algorithms:
            return False
        # The registry's own look-up would warn of EdDSA's new name (RFC 9864) at each token.
        check = JWSRegistry.algorithms[token.algorithm].verify
        return check(token.signed, token.signature, self._key)


class KeySet:
    """The keys of an issuer at one time."""

    __slots__ = ("_keys",)

    def __init__(self, keys: tuple[PublicKey, ...]) -> None:
        self._keys = keys

    @classmethod
    def parse(cls, data: bytes) -> "KeySet":
        """The keys of a JWK set that can be used. Raises ValueError where there are none."""
        listed = strict_object(data).get("keys")
        if not isinstance(listed, list):
            raise ValueError("it is no set of keys")  # noqa: TRY004 - what is wrong is the text.
        found: list[PublicKey] = []
        for said in listed[:_MOST_KEYS]:
            try:
                found.append(PublicKey(said if isinstance(said, dict) else {}))
            except ValueError:
                continue  # A set may hold what others need, such as keys to encrypt with.
        if not found:
            raise ValueError("it has no key that can be used")
        return cls(tuple(found))

    def knows(self, kid: str | None) -> bool:
        return any(key.kid == kid for key in self._keys)

    def signed(self, token: Token) -> bool:
        """Whether one of these keys signed it: one of the name that the token gives, if any."""
        able = [key for key in self._keys if token.algorithm in key.algorithms]
        if token.kid is not None:
            able = [key for key in able if key.kid == token.kid]
        return any(key.signed(token) for key in able[:_MOST_TRIED])

    def covers(self, other: "KeySet") -> bool:
        """Whether every key of `other` is still among these."""
        here = [(key.kid, key.said) for key in self._keys]
        return all((key.kid, key.said) in here for key in other._keys)


def _refuse_sizes(modulus: object) -> None:
    # Before the library sees it, which would warn of one that is too small.
    if not isinstance(modulus, str) or not _RSA_TEXT[0] <= len(modulus) <= _RSA_TEXT[1]:
        raise ValueError("it is too small or too large")


def _algorithms(said: Mapping[str, Any]) -> frozenset[str]:
    """What the key may be used with. Raises ValueError where that is nothing."""
    operations = said.get("key_ops", ["verify"])
    if said.get("use", "sig") != "sig" or not isinstance(operations, list):
        raise ValueError("it is not for signatures")
    if "verify" not in operations:
        raise ValueError("it is not for signatures")
    if said["kty"] == "RSA":
        able = _FOR_RSA
    else:
        curve = said.get("crv")
        able = _FOR_CURVES.get((said["kty"], curve if isinstance(curve, str) else ""), frozenset())
    named = said.get("alg")
    if named == "Ed25519":  # RFC 9864's name for what tokens call EdDSA.
        named = "EdDSA"
    if named is not None:
        able = able & {named} if isinstance(named, str) else frozenset()
    if not able:
        raise ValueError("it is for no algorithm that is known here")
    return able
