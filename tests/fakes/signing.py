"""Signs tokens as an identity provider does, with real keys and without the library under test.

`SigningKey` has what the proxy may see of it (`jwk()`), and signs whatever it is given, in any
algorithm that its type can do, also where the proxy should refuse that.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from proxy.base.jsonio import dumps

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_HASHES: Mapping[str, type[hashes.SHA256] | type[hashes.SHA384] | type[hashes.SHA512]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8))


def compact(head: bytes, payload: bytes, signature: bytes) -> str:
    return ".".join(map(base64url, (head, payload, signature)))


class SigningKey:
    """A private key with a name."""

    def __init__(self, kid: str | None, private: Private, algorithm: str) -> None:
        self.kid = kid
        self.private = private
        self.algorithm = algorithm

    @classmethod
    def rsa(cls, kid: str | None = "rsa", bits: int = 2048) -> "SigningKey":
        return cls(kid, rsa.generate_private_key(65537, bits), "RS256")

    @classmethod
    def ec(cls, kid: str | None = "ec", algorithm: str = "ES256") -> "SigningKey":
        curve = ec.SECP256R1() if algorithm == "ES256" else ec.SECP384R1()
        return cls(kid, ec.generate_private_key(curve), algorithm)

    @classmethod
    def ed(cls, kid: str | None = "ed") -> "SigningKey":
        return cls(kid, ed25519.Ed25519PrivateKey.generate(), "EdDSA")

    def jwk(self, **more: Any) -> dict[str, Any]:
        """The public key as a JWK."""
        named = {} if self.kid is None else {"kid": self.kid}
        private = self.private
        if isinstance(private, rsa.RSAPrivateKey):
            numbers = private.public_key().public_numbers()
            found = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        elif isinstance(private, ec.EllipticCurvePrivateKey):
            point = private.public_key().public_numbers()
            size = (point.curve.key_size + 7) // 8
            x, y = (base64url(each.to_bytes(size)) for each in (point.x, point.y))
            curve = {256: "P-256", 384: "P-384"}[point.curve.key_size]
            found = {"kty": "EC", "crv": curve, "x": x, "y": y}
        else:
            raw = private.public_key().public_bytes_raw()
            found = {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw)}
        return {**found, **named, **more}

    def token(
        self, claims: Mapping[str, Any] | bytes, /, algorithm: str | None = None, **head: Any
    ) -> str:
        """A token; fields of `head` that are None are left out."""
        algorithm = algorithm or self.algorithm
        fields = {"alg": algorithm, "kid": self.kid, "typ": "JWT", **head}
        text = dumps({name: value for name, value in fields.items() if value is not None})
        payload = claims if isinstance(claims, bytes) else dumps(claims)
        signed = f"{base64url(text)}.{base64url(payload)}".encode()
        return compact(text, payload, self.sign(signed, algorithm))

    def sign(self, data: bytes, algorithm: str) -> bytes:
        private = self.private
        if isinstance(private, ed25519.Ed25519PrivateKey):
            return private.sign(data)
        digest = _HASHES[algorithm[2:]]()
        if isinstance(private, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(private.sign(data, ec.ECDSA(digest)))
            size = (private.curve.key_size + 7) // 8
            return r.to_bytes(size) + s.to_bytes(size)
        if algorithm.startswith("PS"):
            pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
            return private.sign(data, pss, digest)
        return private.sign(data, padding.PKCS1v15(), digest)
