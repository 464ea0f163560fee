"""What a key must be to be let in: in time, not blocked, from where it may come; and who is asked
about keys that the configuration does not have."""

import inspect
from dataclasses import replace
from ipaddress import ip_network

import pytest

from proxy.base.clock import wall
from proxy.base.errors import AccessDenied, NotAuthenticated, StoreUnavailable
from proxy.base.secret import fingerprint
from proxy.core.caller import UNKNOWN, Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.steps import take
from proxy.middleware.auth import auth
from proxy.wire.recalled import Recalled
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange, runtime

KEY = "sk-a"
CALLER = Caller("a", ModelPatterns.of(("*",)))


def asked(caller: Caller, peer: str | None = "127.0.0.1") -> Exchange:
    run = runtime({}, callers={fingerprint(KEY): caller})
    return exchange(run, FakeIncoming(headers=[("x-api-key", KEY)], peer=peer))


@pytest.mark.parametrize(
    ("network", "peer", "allowed"),
    [
        ("192.0.2.0/24", "192.0.2.7", True),
        ("192.0.2.0/24", "192.0.3.7", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("0.0.0.0/0", "198.51.100.1", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("2001:db8::/32", "2001:db8:1::5", True),
        ("2001:db8::/32", "2001:db9::5", False),
        ("2001:db8::/32", "192.0.2.7", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("::1", "::1", True),
        ("::1", "127.0.0.1", False),
        # An IPv6 socket calls IPv4 callers so; they are the same whoever listens.
        ("192.0.2.0/24", "::ffff:192.0.2.7", True),
        ("192.0.2.0/24", "::ffff:192.0.3.7", False),
        ("::ffff:192.0.2.0/120", "::ffff:192.0.2.7", True),
        ("::/0", "::ffff:192.0.2.7", True),
        ("192.0.2.0/24", "::192.0.2.7", False),
        ("192.0.2.0/24", None, False),
        ("0.0.0.0/0", "", False),
        ("0.0.0.0/0", "localhost", False),
    ],
)
async def test_addresses(network: str, peer: str | None, allowed: bool) -> None:
    x = asked(replace(CALLER, networks=(ip_network(network),)), peer)
    if allowed:
        await take(auth, x)
        assert x.caller.name == "a"
        return
    with pytest.raises(AccessDenied) as caught:
        await take(auth, x)
    assert (caught.value.status, caught.value.code) == (403, "key_ip_access_denied")
    assert x.caller is UNKNOWN


async def test_one_of_several_networks_is_enough() -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    for peer in ("10.1.2.3", "2001:db8::1"):
        await take(auth, asked(replace(CALLER, networks=networks), peer))


async def test_without_networks_the_address_does_not_matter() -> None:
    x = asked(CALLER, None)
    await take(auth, x)
    assert x.caller is CALLER


async def test_a_key_that_was_seen_before_is_asked_about_again() -> None:
    recalled = Recalled()
    for caller in (CALLER, replace(CALLER, blocked=True), CALLER):
        x = asked(caller)
        x.incoming.recalled = recalled
        if caller.blocked:
            with pytest.raises(AccessDenied):
                await take(auth, x)
        else:
            await take(auth, x)
            assert x.caller is caller
        assert recalled.digest == fingerprint(KEY)
    x = asked(CALLER)
    x.incoming.recalled = recalled
    x.runtime = runtime({}, callers={})
    with pytest.raises(NotAuthenticated):
        await take(auth, x)


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
async def test_headers_are_no_address(header: str) -> None:
    caller = replace(CALLER, networks=(ip_network("192.0.2.0/24"),))
    run = runtime({}, callers={fingerprint(KEY): caller})
    incoming = FakeIncoming(headers=[("x-api-key", KEY), (header, "192.0.2.7")])
    with pytest.raises(AccessDenied):
        await take(auth, exchange(run, incoming))


async def test_blocked() -> None:
    x = asked(replace(CALLER, blocked=True))
    with pytest.raises(AccessDenied) as caught:
        await take(auth, x)
    assert (caught.value.status, caught.value.code) == (403, "key_blocked")
    assert x.caller is UNKNOWN


async def test_expired_is_told_before_blocked() -> None:
    for blocked in (False, True):
        x = asked(replace(CALLER, expires=wall() - 0.001, blocked=blocked))
        with pytest.raises(NotAuthenticated) as caught:
            await take(auth, x)
        assert caught.value.code == "expired_key"
    await take(auth, asked(replace(CALLER, expires=wall() + 60)))


class Directory:
    """The port: keys found at once, keys that must be looked up, tokens. `asked`: in order."""

    def __init__(
        self, known: dict[str, Caller], found: dict[str, Caller], tokens: dict[str, Caller]
    ) -> None:
        self._known = {fingerprint(key): caller for key, caller in known.items()}
        self._found = {fingerprint(key): caller for key, caller in found.items()}
        self._tokens = tokens
        self.away = False
        self.asked: list[str] = []

    def known(self, fingerprint: bytes) -> Caller | None:
        self.asked.append("known")
        return self._known.get(fingerprint)

    async def find(self, fingerprint: bytes) -> Caller | None:
        self.asked.append("find")
        if self.away:
            raise StoreUnavailable("the store is away")
        return self._found.get(fingerprint)

    async def bearer(self, token: str) -> Caller | None:
        self.asked.append("bearer")
        if token == "bad.to.ken":
            raise NotAuthenticated("false", code="invalid_token")
        return self._tokens.get(token)

    def refuse_unready(self) -> None:
        if self.away:
            raise StoreUnavailable("the store is away")


async def let_in(directory: Directory, key: str) -> str:
    run = replace(runtime({}, callers={fingerprint(KEY): CALLER}), directory=directory)
    x = exchange(run, FakeIncoming(headers=[("authorization", f"Bearer {key}")]))
    await take(auth, x)
    return x.caller.name


@pytest.fixture
def directory() -> Directory:
    return Directory(
        {"sk-known": replace(CALLER, name="known")},
        {"sk-found": replace(CALLER, name="found"), "i.am.imported": replace(CALLER, name="dots")},
        {"to.k.en": replace(CALLER, name="bearer")},
    )


@pytest.mark.parametrize(
    ("key", "name", "asked_for"),
    [
        (KEY, "a", []),
        ("sk-known", "known", ["known"]),
        ("sk-found", "found", ["known", "find"]),
        ("to.k.en", "bearer", ["known", "bearer"]),
        ("i.am.imported", "dots", ["known", "bearer", "find"]),
    ],
)
async def test_who_is_asked(
    directory: Directory, key: str, name: str, asked_for: list[str]
) -> None:
    assert await let_in(directory, key) == name
    assert directory.asked == asked_for


@pytest.mark.parametrize(
    ("key", "code"), [("sk-nobody", "invalid_api_key"), ("bad.to.ken", "invalid_token")]
)
async def test_who_is_nobody(directory: Directory, key: str, code: str) -> None:
    with pytest.raises(NotAuthenticated) as caught:
        await let_in(directory, key)
    assert caught.value.code == code
    assert key not in caught.value.message


async def test_a_store_that_is_away_is_no_verdict(directory: Directory) -> None:
    directory.away = True
    with pytest.raises(StoreUnavailable):
        await let_in(directory, "sk-found")
    assert await let_in(directory, "sk-known") == "known"
    assert await let_in(directory, KEY) == "a"


@pytest.mark.parametrize("rule", ["blocked", "expired", "address"])
async def test_keys_of_the_store_keep_the_same_rules(rule: str) -> None:
    caller = {
        "blocked": replace(CALLER, blocked=True),
        "expired": replace(CALLER, expires=wall() - 1),
        "address": replace(CALLER, networks=(ip_network("10.0.0.0/8"),)),
    }[rule]
    directory = Directory({"sk-known": caller}, {"sk-found": caller}, {"to.k.en": caller})
    for key in ("sk-known", "sk-found", "to.k.en"):
        with pytest.raises((AccessDenied, NotAuthenticated)):
            await let_in(directory, key)


async def test_a_known_caller_makes_nobody_wait(directory: Directory) -> None:
    for key in (KEY, "sk-known", "to.k.en"):
        waiting = let_in(directory, key)
        assert inspect.iscoroutine(waiting)
        with pytest.raises(StopIteration):  # At its end at once: it never gave up its turn.
            waiting.send(None)
