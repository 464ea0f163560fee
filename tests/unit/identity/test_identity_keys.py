"""Keys of an issuer: found, kept, replaced, withdrawn; and an issuer that is away."""

import asyncio
from typing import Any

import pytest

from proxy.base.errors import StoreUnavailable
from proxy.base.jsonio import dumps
from proxy.base.tasks import Tasks
from proxy.build.fetch import HttpFetch
from proxy.core.outgoing import Timeouts
from proxy.identity.key_source import AGAIN, AT_MOST_EVERY, LIFETIME
from proxy.identity.keys import KeySet, PublicKey
from proxy.identity.token import read
from proxy.upstream.proxies import ProxySettings
from tests.fakes.openid import DISCOVERY, OpenIdProvider
from tests.fakes.signing import SigningKey, base64url
from tests.unit.identity.identity_cases import NOW, Home

KEYS = "/keys?tenant=a"


async def test_keys_are_where_the_issuer_says(
    provider: OpenIdProvider, rsa_key: SigningKey, ec_key: SigningKey
) -> None:
    home = Home(provider)
    await home.caller(rsa_key.token(home.claims()))
    await home.caller(ec_key.token(home.claims()))
    assert provider.asked == [DISCOVERY, KEYS]


async def test_keys_are_where_the_operator_says(
    provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    home = Home(provider, jwks=f"{provider.issuer}/keys")
    await home.caller(rsa_key.token(home.claims()))
    assert provider.asked == ["/keys"]


async def test_all_who_wait_share_one_fetch(provider: OpenIdProvider, rsa_key: SigningKey) -> None:
    home = Home(provider)
    provider.hold.clear()
    tokens = [rsa_key.token(home.claims(jti=n)) for n in range(5)]
    tasks = Tasks()
    waiting = [tasks.spawn(home.caller(each), name="caller") for each in tokens]
    await provider.arrival(1)
    waiting[0].cancel()  # Whoever goes ends it for nobody else.
    provider.hold.set()
    callers = await asyncio.gather(*waiting[1:])
    assert {caller.user for caller in callers} == {"ada"}
    assert provider.asked == [DISCOVERY, KEYS]


async def test_a_new_key_is_fetched_when_it_is_first_met(
    provider: OpenIdProvider, rsa_key: SigningKey, other_key: SigningKey
) -> None:
    home = Home(provider)
    await home.caller(rsa_key.token(home.claims()))
    provider.keys.append(other_key.jwk())
    home.ticking.now = AT_MOST_EVERY
    await home.caller(other_key.token(home.claims()))
    assert len(provider.asked) == 4


async def test_made_up_keys_do_not_flood_the_issuer(
    provider: OpenIdProvider, rsa_key: SigningKey, other_key: SigningKey
) -> None:
    home = Home(provider)
    await home.caller(rsa_key.token(home.claims()))
    home.ticking.now = AT_MOST_EVERY - 0.1
    for number in range(5):
        await home.refusal(other_key.token(home.claims(), kid=f"made-up-{number}"))
    assert len(provider.asked) == 2
    home.ticking.now = AT_MOST_EVERY
    for number in range(5):
        await home.refusal(other_key.token(home.claims(), kid=f"made-up-{number}"))
    assert len(provider.asked) == 4


async def test_old_keys_are_renewed_in_the_background(
    provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    home = Home(provider)
    signed = rsa_key.token(home.claims())
    await home.caller(signed)
    home.ticking.now = LIFETIME
    provider.hold.clear()
    await home.caller(signed)  # Nobody waits for them, with a token that is kept …
    await provider.arrival(3)
    await home.caller(rsa_key.token(home.claims(jti="new")))  # … or a new one.
    provider.hold.set()
    await provider.arrival(4)
    assert provider.asked[2:] == [DISCOVERY, KEYS]


async def test_what_a_withdrawn_key_signed_counts_no_more(
    provider: OpenIdProvider, rsa_key: SigningKey, ec_key: SigningKey
) -> None:
    home = Home(provider)
    signed, other = rsa_key.token(home.claims()), ec_key.token(home.claims())
    await home.caller(signed)
    found = await home.caller(other)
    provider.keys = [ec_key.jwk()]
    home.ticking.now = LIFETIME
    await home.source.newer()
    assert (await home.refusal(signed)).code == "invalid_token"
    again = await home.caller(other)  # Verified anew, and the same.
    assert again == found


async def test_a_key_that_comes_along_makes_nobody_prove_anything_again(
    provider: OpenIdProvider, rsa_key: SigningKey, other_key: SigningKey
) -> None:
    home = Home(provider)
    signed = rsa_key.token(home.claims())
    found = await home.caller(signed)
    provider.keys.append(other_key.jwk())
    home.ticking.now = LIFETIME
    await home.source.newer()
    assert await home.caller(signed) is found


async def test_a_key_without_a_name_may_be_replaced(
    provider: OpenIdProvider, rsa_key: SigningKey, other_key: SigningKey
) -> None:
    before, after = (SigningKey(None, key.private, "RS256") for key in (rsa_key, other_key))
    provider.keys = [before.jwk()]
    home = Home(provider)
    await home.caller(before.token(home.claims()))
    provider.keys = [after.jwk()]
    home.ticking.now = AT_MOST_EVERY
    await home.caller(after.token(home.claims()))
    await home.refusal(before.token(home.claims()))


async def test_a_token_without_a_name_finds_its_key_among_several(
    provider: OpenIdProvider, rsa_key: SigningKey, other_key: SigningKey
) -> None:
    others = [SigningKey.ec(f"ec-{number}").jwk() for number in range(5)]
    provider.keys = [*others, other_key.jwk(), rsa_key.jwk()]
    home = Home(provider)
    assert (await home.caller(rsa_key.token(home.claims(), kid=None))).user == "ada"


async def test_without_any_keys_nobody_can_be_told_apart(
    provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    home = Home(provider)
    provider.away = True
    signed = rsa_key.token(home.claims())
    for _ in range(3):
        with pytest.raises(StoreUnavailable) as caught:
            await home.bearers.bearer(signed)
        assert (caught.value.status, caught.value.code) == (503, "issuer_unavailable")
        assert (b"retry-after", b"5") in caught.value.headers
        assert home.issuer not in caught.value.message
    assert len(provider.asked) == 1
    provider.away = False
    home.ticking.now = AGAIN
    assert (await home.caller(signed)).user == "ada"


async def test_last_keys_stay_good_while_the_issuer_is_away(
    provider: OpenIdProvider, rsa_key: SigningKey, other_key: SigningKey
) -> None:
    home = Home(provider)
    await home.caller(rsa_key.token(home.claims()))
    provider.away = True
    for hours in range(1, 5):
        home.ticking.now = 3600.0 * hours
        await home.refusal(other_key.token(home.claims(), kid="unknown"))
        assert (await home.caller(rsa_key.token(home.claims(jti=hours)))).user == "ada"
    assert len(provider.asked) == 6


@pytest.mark.parametrize(
    "answers",
    [
        {"/keys": (200, b"<html>")},
        {"/keys": (200, b"[]")},
        {"/keys": (200, b"{}")},
        {"/keys": (200, b'{"keys": {}}')},
        {"/keys": (200, b'{"keys": []}')},
        {"/keys": (200, b'{"keys": [1, null, {"kty": "oct", "k": "AAAA"}]}')},
        {DISCOVERY: (404, b"")},
    ],
)
async def test_answers_that_are_no_keys(
    provider: OpenIdProvider, rsa_key: SigningKey, answers: dict[str, tuple[int, bytes]]
) -> None:
    home = Home(provider)
    provider.answers = answers
    with pytest.raises(StoreUnavailable):
        await home.bearers.bearer(rsa_key.token(home.claims()))


@pytest.mark.parametrize(
    ("status", "filler", "good"),
    [(200, 0, True), (200, 600_000, False), (500, 0, False), (302, 0, False), (203, 0, False)],
)
async def test_only_a_200_of_reasonable_size_is_an_answer(
    provider: OpenIdProvider, rsa_key: SigningKey, status: int, filler: int, good: bool
) -> None:
    home = Home(provider)
    body = dumps({"keys": [rsa_key.jwk()], "filler": "x" * filler})
    provider.answers["/keys"] = (status, body)
    signed = rsa_key.token(home.claims())
    if good:
        assert (await home.caller(signed)).user == "ada"
        return
    with pytest.raises(StoreUnavailable):
        await home.bearers.bearer(signed)


@pytest.mark.parametrize("issuer", ["https://elsewhere.example", None, "", ["x"]])
async def test_the_configuration_of_another_issuer(
    provider: OpenIdProvider, rsa_key: SigningKey, issuer: object
) -> None:
    home = Home(provider)
    provider.answers[DISCOVERY] = (200, dumps({"issuer": issuer, "jwks_uri": provider.jwks}))
    with pytest.raises(StoreUnavailable):
        await home.bearers.bearer(rsa_key.token(home.claims()))
    assert provider.asked == [DISCOVERY]


@pytest.mark.parametrize("uri", [None, 7, "", "/keys", "file:///etc/passwd", "gopher://h/keys"])
async def test_a_configuration_that_says_no_place(
    provider: OpenIdProvider, rsa_key: SigningKey, uri: object
) -> None:
    home = Home(provider)
    provider.answers[DISCOVERY] = (200, dumps({"issuer": provider.issuer, "jwks_uri": uri}))
    with pytest.raises(StoreUnavailable):
        await home.bearers.bearer(rsa_key.token(home.claims()))


async def test_an_issuer_with_tls_has_its_keys_with_tls() -> None:
    asked: list[str] = []

    async def fetch(url: str) -> bytes:
        asked.append(url)
        said = {"issuer": "https://sso.example/", "jwks_uri": "http://sso.example/keys"}
        return dumps(said)

    class Elsewhere(OpenIdProvider):
        issuer = "https://sso.example/"

    home = Home(Elsewhere(), fetch=fetch)
    with pytest.raises(StoreUnavailable):
        await home.source.keys()
    assert asked == ["https://sso.example/.well-known/openid-configuration"]


async def test_an_issuer_that_says_nothing_is_not_waited_for(provider: OpenIdProvider) -> None:
    quick = Timeouts(connect=0.2, first_token=0.05, idle=0.05, total=0.2)
    home = Home(provider, fetch=HttpFetch(ProxySettings(), quick))
    provider.hold.clear()
    with pytest.raises(StoreUnavailable):
        await home.source.keys()


async def test_closing_ends_what_is_under_way(provider: OpenIdProvider) -> None:
    home = Home(provider)
    provider.hold.clear()
    waiting = Tasks().spawn(home.source.keys(), name="caller")
    await provider.arrival(1)
    home.source.close()
    with pytest.raises(StoreUnavailable):
        _ = await waiting


async def test_keys_outlive_a_reload(provider: OpenIdProvider, rsa_key: SigningKey) -> None:
    home = Home(provider)
    await home.caller(rsa_key.token(home.claims()))
    provider.away = True
    after = home.source.again(HttpFetch(ProxySettings()))
    assert (await after.keys()).knows("rsa")
    await provider.arrival(3)  # And it asks whether they are still the same.
    after.close()


def test_keys_that_are_not_for_tokens_are_passed_over(rsa_key: SigningKey) -> None:
    good = rsa_key.jwk(use="sig", alg="RS256", key_ops=["verify"], x5c=["MIIB"])
    small = SigningKey.rsa("small", 1024)
    others: list[dict[str, Any]] = [
        rsa_key.jwk(kid="1", use="enc"),
        rsa_key.jwk(kid="2", key_ops=["encrypt"]),
        rsa_key.jwk(kid="3", key_ops="verify"),
        rsa_key.jwk(kid="4", alg="RSA-OAEP"),
        rsa_key.jwk(kid="5", alg="HS256"),
        rsa_key.jwk(kid="6", alg=5),
        rsa_key.jwk(kid="7", e="!"),
        rsa_key.jwk(kid="8", n=7),
        rsa_key.jwk(kid="9", n="A" * 2000),
        small.jwk(),
        SigningKey.ec("10").jwk(crv="P-521"),
        SigningKey.ec("11").jwk(crv=["P-256"]),
        SigningKey.ec("12").jwk(x=base64url(b"1" * 32)),  # Not on the curve.
        SigningKey.ed("13").jwk(crv="X25519"),
        SigningKey.ed("14").jwk(x="AA"),
        {"kty": ["RSA"], "kid": "15"},
        {"kty": "oct", "kid": "16", "k": base64url(b"k" * 32)},
        rsa_key.jwk(kid=17),
    ]
    keys = KeySet.parse(dumps({"keys": [*others, good]}))
    assert keys.knows("rsa")
    assert [kid for kid in map(str, range(1, 18)) if keys.knows(kid)] == []
    assert not keys.knows("small")


def test_a_key_is_for_the_algorithms_of_its_type_and_no_other(rsa_key: SigningKey) -> None:
    assert PublicKey(rsa_key.jwk()).algorithms == {"RS256", "RS384", "RS512", "PS256"}
    only = PublicKey(rsa_key.jwk(alg="PS256"))
    assert only.algorithms == {"PS256"}
    for algorithm, believed in (("PS256", True), ("RS256", False)):
        token = read(rsa_key.token({}, algorithm=algorithm))
        assert token is not None
        assert only.signed(token) is believed
    assert PublicKey(SigningKey.ec().jwk()).algorithms == {"ES256"}
    assert PublicKey(SigningKey.ec("x", "ES384").jwk()).algorithms == {"ES384"}
    assert PublicKey(SigningKey.ed().jwk(alg="Ed25519")).algorithms == {"EdDSA"}


def test_of_a_private_key_only_the_public_part_is_kept(rsa_key: SigningKey) -> None:
    found = PublicKey(rsa_key.jwk(d="AQAB", p="AQAB", q="AQAB"))
    assert found.said.keys() == {"kty", "n", "e"}


async def test_the_clock_of_tokens_may_step(provider: OpenIdProvider, rsa_key: SigningKey) -> None:
    home = Home(provider)
    home.today.now = NOW - 86400
    signed = rsa_key.token(home.claims())
    await home.caller(signed)
    home.today.now = NOW + 86400
    assert (await home.refusal(signed)).code == "expired_token"
    home.today.now = NOW
    await home.caller(signed)
