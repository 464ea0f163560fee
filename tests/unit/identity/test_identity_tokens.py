"""Which tokens are believed, and every known way to be believed without a right to it."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.base.errors import NotAuthenticated
from proxy.base.jsonio import dumps
from proxy.identity import token
from proxy.identity.key_source import AT_MOST_EVERY
from proxy.identity.strict_json import strict_object
from tests.fakes.openid import OpenIdProvider
from tests.fakes.signing import SigningKey, base64url, compact
from tests.unit.identity.identity_cases import NOW, Home

EVERY = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")


@pytest.mark.parametrize("algorithm", EVERY)
async def test_every_algorithm_that_can_be_configured(
    provider: OpenIdProvider, rsa_key: SigningKey, algorithm: str
) -> None:
    keys = {"E": SigningKey.ec("k", algorithm), "R": rsa_key, "P": rsa_key}
    key = SigningKey.ed() if algorithm == "EdDSA" else keys[algorithm[0]]
    provider.keys = [key.jwk()]
    home = Home(provider, algorithms=EVERY)
    signed = key.token(home.claims(), algorithm=algorithm)
    assert (await home.caller(signed)).user == "ada"
    changed = bytearray(signed, "ascii")
    changed[-20] = ord("A") if changed[-20] != ord("A") else ord("B")
    error = await home.refusal(changed.decode())
    assert (error.status, error.code) == (401, "invalid_token")


async def test_what_is_changed_is_not_believed(
    provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    home = Home(provider)
    head, _, signature = rsa_key.token(home.claims()).split(".")
    payload = base64url(dumps(home.claims(sub="root")))
    error = await home.refusal(f"{head}.{payload}.{signature}")
    assert "not signed by a key of its issuer" in error.message


async def test_algorithms_that_are_not_configured_are_refused(
    provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    home = Home(provider, algorithms=("ES256",))
    assert (await home.refusal(rsa_key.token(home.claims()))).message.endswith("(alg)")
    assert provider.asked == []


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
async def test_a_token_without_a_signature_is_refused(provider: OpenIdProvider, name: str) -> None:
    home = Home(provider, algorithms=EVERY)
    payload = dumps(home.claims())
    for kid in ({}, {"kid": "rsa"}):
        unsigned = compact(dumps({"alg": name, **kid}), payload, b"")
        assert (await home.refusal(unsigned)).code == "invalid_token"


@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
async def test_a_public_key_is_no_secret_of_an_hmac(
    provider: OpenIdProvider, rsa_key: SigningKey, name: str
) -> None:
    home = Home(provider, algorithms=(*EVERY, "HS256", "HS384", "HS512"))
    public = rsa_key.private.public_key()
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        dumps(rsa_key.jwk()),
        b"",
    ]
    head, payload = dumps({"alg": name, "kid": "rsa"}), dumps(home.claims())
    signed = f"{base64url(head)}.{base64url(payload)}".encode()
    for secret in secrets:
        mac = hmac.new(secret, signed, getattr(hashlib, f"sha{name[2:]}")).digest()
        assert (await home.refusal(compact(head, payload, mac))).code == "invalid_token"


async def test_a_symmetric_key_of_the_set_signs_nothing(
    provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    provider.keys = [{"kty": "oct", "kid": "o", "k": base64url(b"s" * 32)}, rsa_key.jwk()]
    home = Home(provider, algorithms=("RS256", "HS256"))
    head, payload = dumps({"alg": "HS256", "kid": "o"}), dumps(home.claims())
    signed = f"{base64url(head)}.{base64url(payload)}".encode()
    mac = hmac.new(b"s" * 32, signed, hashlib.sha256).digest()
    assert (await home.refusal(compact(head, payload, mac))).code == "invalid_token"


async def test_another_key_under_a_known_name_is_refused(
    provider: OpenIdProvider, other_key: SigningKey
) -> None:
    home = Home(provider)
    for moment in (0, AT_MOST_EVERY):
        home.ticking.now = moment
        error = await home.refusal(other_key.token(home.claims(), kid="rsa"))
        assert error.code == "invalid_token"
    # The key is known, so there is no reason to ask the issuer again.
    assert len(provider.asked) == 2


async def test_a_key_of_another_type_under_its_name_is_refused(
    provider: OpenIdProvider, rsa_key: SigningKey, ec_key: SigningKey
) -> None:
    home = Home(provider)
    assert (await home.refusal(rsa_key.token(home.claims(), kid="ec"))).code == "invalid_token"
    assert (await home.refusal(ec_key.token(home.claims(), kid="rsa"))).code == "invalid_token"


async def test_keys_that_a_token_brings_along_are_not_looked_at(
    provider: OpenIdProvider, other_key: SigningKey
) -> None:
    async with OpenIdProvider() as evil:
        evil.keys = [other_key.jwk()]
        home = Home(provider)
        heads: list[dict[str, Any]] = [
            {"jku": evil.jwks},
            {"x5u": f"{evil.issuer}/keys"},
            {"jwk": other_key.jwk()},
            {"x5c": ["MIIB"]},
            {"kid": evil.jwks},
            {"kid": "../../../../dev/null"},
        ]
        for head in heads:
            error = await home.refusal(other_key.token(home.claims(), **head))
            assert error.code == "invalid_token"
        assert evil.asked == []


async def test_they_do_no_harm_where_the_signature_is_good(
    provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    home = Home(provider)
    signed = rsa_key.token(home.claims(), jku="http://127.0.0.1:1/", x5t="abc", nonce="n")
    assert (await home.caller(signed)).user == "ada"


@pytest.mark.parametrize(
    "head",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"b64": True},
        {"typ": "logout+jwt"},
        {"typ": "secevent+jwt"},
        {"typ": "application/dpop+jwt"},
        {"typ": 3},
        {"kid": 7},
        {"kid": "k" * 513},
        {"alg": ["RS256"]},
        {"alg": {"a": 1}},
    ],
)
async def test_heads_that_are_refused_though_well_signed(
    provider: OpenIdProvider, rsa_key: SigningKey, head: dict[str, Any]
) -> None:
    home = Home(provider)
    text, payload = dumps({"alg": "RS256", "kid": "rsa", **head}), dumps(home.claims())
    signed = f"{base64url(text)}.{base64url(payload)}".encode()
    made = compact(text, payload, rsa_key.sign(signed, "RS256"))
    error = await home.refusal(made)
    assert error.code == "invalid_token"
    assert "signed" not in error.message  # No key was looked for.
    assert provider.asked == []


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+JWT", "x-at+jwt", None])
async def test_kinds_of_tokens_that_say_who_calls(
    provider: OpenIdProvider, rsa_key: SigningKey, kind: str | None
) -> None:
    home = Home(provider)
    assert (await home.caller(rsa_key.token(home.claims(), typ=kind))).user == "ada"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"exp": NOW - 31}, "expired_token"),
        ({"exp": NOW - 30}, "expired_token"),
        ({"exp": -1}, "expired_token"),
        ({"exp": None}, "invalid_token"),
        ({"exp": "1900000000"}, "invalid_token"),
        ({"exp": True}, "invalid_token"),
        ({"exp": [NOW + 600]}, "invalid_token"),
        ({"nbf": NOW + 31}, "invalid_token"),
        ({"nbf": "now"}, "invalid_token"),
        ({"aud": "llm-prox"}, "invalid_token"),
        ({"aud": ["x", 3, None, {"llm-proxy": 1}]}, "invalid_token"),
        ({"aud": {"llm-proxy": 1}}, "invalid_token"),
        ({"aud": []}, "invalid_token"),
        ({"aud": None}, "invalid_token"),
        ({"iss": "https://elsewhere.example"}, "invalid_token"),
        ({"iss": ["x"]}, "invalid_token"),
        ({"iss": None}, "invalid_token"),
    ],
)
async def test_when_and_for_whom(
    provider: OpenIdProvider, rsa_key: SigningKey, more: dict[str, Any], code: str
) -> None:
    home = Home(provider)
    error = await home.refusal(rsa_key.token(home.claims(**more)))
    assert (error.code, error.type) == (code, "authentication_error")
    assert home.issuer not in error.message
    assert "llm-proxy" not in error.message


@pytest.mark.parametrize(
    "more",
    [
        {"exp": NOW - 29},
        {"exp": NOW + 0.5},
        {"nbf": NOW + 30},
        {"aud": ["x", "another"]},
        {"iat": NOW + 5},
        {"nbf": NOW - 5},
    ],
)
async def test_leeway_and_lists(
    provider: OpenIdProvider, rsa_key: SigningKey, more: dict[str, Any]
) -> None:
    home = Home(provider)
    assert (await home.caller(rsa_key.token(home.claims(**more)))).user == "ada"


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text[:-1] + ',"sub":"root"}',
        lambda text: text.replace('"sub"', '"x":{"a":1,"a":2},"sub"'),
        lambda text: text.replace('"ada"', '"ada", "\\u0073ub":"root"'),
        lambda text: f"[{text}]",
        lambda text: text.replace("1800000600", "1e999"),
        lambda text: text.replace("1800000600", "1" + "0" * 400),
        lambda text: text.replace("1800000600", "1" + "0" * 5000),
        lambda text: text.replace("1800000600", "Infinity"),
        lambda text: text.replace("1800000600", "NaN"),
        lambda text: text.replace('"ada"', "[" * 5000 + "]" * 5000),
        lambda text: text + "x",
        lambda text: "\ufeff" + text,
        lambda text: "",
    ],
)
async def test_claims_that_could_be_read_in_two_ways(
    provider: OpenIdProvider, rsa_key: SigningKey, changed: Callable[[str], str]
) -> None:
    home = Home(provider)
    payload = changed(dumps(home.claims()).decode()).encode()
    assert payload != dumps(home.claims())
    assert (await home.refusal(rsa_key.token(payload))).code == "invalid_token"


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": [-Infinity]}', "7", '"a"', "null", "[]"])
def test_what_is_no_object_of_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"no number of JSON|no object"):
        strict_object(text.encode())


async def test_a_claim_that_is_not_utf_8(provider: OpenIdProvider, rsa_key: SigningKey) -> None:
    home = Home(provider)
    payload = dumps(home.claims()).replace(b"ada", b"ad\xff")
    assert (await home.refusal(rsa_key.token(payload))).code == "invalid_token"


async def test_a_head_with_a_doubled_name_is_no_head(
    provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    home = Home(provider)
    head, payload = b'{"alg":"none","alg":"RS256","kid":"rsa"}', dumps(home.claims())
    signed = f"{base64url(head)}.{base64url(payload)}".encode()
    made = compact(head, payload, rsa_key.sign(signed, "RS256"))
    assert await home.bearers.bearer(made) is None


async def test_a_huge_token_is_refused_unread(
    provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    home = Home(provider)
    huge = rsa_key.token(home.claims(filler="x" * token.LONGEST))
    assert "too long" in (await home.refusal(huge)).message
    assert provider.asked == []


@pytest.mark.parametrize(
    "text",
    [
        "sk-some.key.here",
        "..",
        "a.b",
        "a.b.c.d",
        "",
        "eyJ.\udcff.x",
        f"{base64url(b'[]')}.e30.x",
        f"{base64url(b'{}')}.e30.x",
        f" {base64url(b'{}')}.e30.x",
    ],
)
async def test_what_is_no_token_at_all(provider: OpenIdProvider, text: str) -> None:
    assert await Home(provider).bearers.bearer(text) is None


@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("text", ["=", "==", "!", " ", "\n", "ä", "+", "\u0661"])
async def test_parts_that_are_not_base64url(
    provider: OpenIdProvider, rsa_key: SigningKey, part: int, text: str
) -> None:
    home = Home(provider)
    parts = rsa_key.token(home.claims()).split(".")
    parts[part] += text
    error = await home.refusal(".".join(parts))
    assert (error.code, "cannot be read" in error.message) == ("invalid_token", True)


async def test_a_token_is_verified_once(provider: OpenIdProvider, rsa_key: SigningKey) -> None:
    home = Home(provider)
    signed = rsa_key.token(home.claims())
    assert await home.caller(signed) is await home.caller(signed)


async def test_a_kept_token_expires(provider: OpenIdProvider, rsa_key: SigningKey) -> None:
    home = Home(provider)
    signed = rsa_key.token(home.claims())
    await home.caller(signed)
    home.today.now = NOW + 629
    await home.caller(signed)
    home.today.now = NOW + 630
    for _ in range(2):
        assert (await home.refusal(signed)).code == "expired_token"


async def test_only_so_many_are_kept(provider: OpenIdProvider, rsa_key: SigningKey) -> None:
    home = Home(provider, most=2)
    signed = [rsa_key.token(home.claims(jti=n)) for n in range(3)]
    first, second, third = [await home.caller(each) for each in signed]
    assert await home.caller(signed[2]) is third
    assert await home.caller(signed[1]) is second
    assert await home.caller(signed[0]) is not first


async def test_what_is_refused_is_not_kept(
    provider: OpenIdProvider, rsa_key: SigningKey, other_key: SigningKey
) -> None:
    home = Home(provider, most=1)
    signed = rsa_key.token(home.claims())
    found = await home.caller(signed)
    for number in range(3):
        bad = other_key.token(home.claims(jti=number), kid="rsa")
        with pytest.raises(NotAuthenticated):
            await home.bearers.bearer(bad)
    assert await home.caller(signed) is found
