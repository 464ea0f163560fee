"""From the configuration to a request: issuers, reloads, and the step `auth` in between."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.base.clock import wall
from proxy.base.errors import NotAuthenticated
from proxy.base.secret import fingerprint
from proxy.build.runtime import Built, build
from proxy.config.load import load
from proxy.core.caller import Access
from proxy.core.exchange import Exchange
from proxy.core.runtime import Runtime
from proxy.core.steps import take
from proxy.middleware.auth import auth
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange
from tests.fakes.ledger import FakeLedger
from tests.fakes.openid import OpenIdProvider
from tests.fakes.signing import SigningKey

ROOT = Path(__file__).resolve().parents[3]


async def built(
    folder: Path, provider: OpenIdProvider, more: str = "", old: Built | None = None
) -> Built:
    path = folder / "config.yaml"
    path.write_text(f"""
keys: [{{name: alice, key: sk.al.ice}}]
jwt:
  - issuer: {provider.issuer}
    audience: [llm-proxy]
    claims: {{team: org.team, clearance: level}}
    grants: {{models: ["gpt-*"], clearance: public, limits: {{rpm: 7}}}}
{more}
""")
    # As in app.py: files of certificate authorities are read.
    return await asyncio.to_thread(lambda: build(load(path, env={}), FakeLedger(), old))


async def admitted(run: Runtime, key: str) -> Exchange:
    x = exchange(run, FakeIncoming(headers=[("authorization", f"Bearer {key}")]))
    await take(auth, x)
    return x


def claims(provider: OpenIdProvider) -> dict[str, object]:
    return {
        "iss": provider.issuer, "sub": "ada", "aud": "llm-proxy", "exp": int(wall()) + 60,
        "org": {"team": "research"}, "level": "restricted",
    }  # fmt: skip


async def test_a_token_is_let_in_beside_keys(
    tmp_path: Path, provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    made = await built(tmp_path, provider)
    caller = (await admitted(made.runtime, rsa_key.token(claims(provider)))).caller
    assert (caller.user, caller.team, caller.clearance) == ("ada", "research", Access.RESTRICTED)
    assert "gpt-4" in caller.models
    assert [rule.limit for rule in caller.walls.rates] == [7]
    assert (await admitted(made.runtime, "sk.al.ice")).caller.name == "alice"
    made.close()


@pytest.mark.parametrize("key", ["sk.no.body", "sk-nobody", "a.b.c.d"])
async def test_what_is_neither_key_nor_token(
    tmp_path: Path, provider: OpenIdProvider, key: str
) -> None:
    made = await built(tmp_path, provider)
    with pytest.raises(NotAuthenticated) as caught:
        await admitted(made.runtime, key)
    assert caught.value.code == "invalid_api_key"
    assert provider.asked == []
    made.close()


async def test_a_reload_keeps_the_keys_and_forgets_the_tokens(
    tmp_path: Path, provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    old = await built(tmp_path, provider)
    signed = rsa_key.token(claims(provider))
    await admitted(old.runtime, signed)
    provider.away = True
    new = await built(tmp_path, provider, "    leeway: 5s", old)
    new.replace(old)
    caller = (await admitted(new.runtime, signed)).caller
    assert caller.team == "research"
    assert caller is not (await admitted(old.runtime, signed)).caller
    new.close()
    old.close()


async def test_without_issuers_no_token_is_looked_at(
    tmp_path: Path, provider: OpenIdProvider, rsa_key: SigningKey
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("keys: [{name: a, key: sk-a}]")
    run = (await asyncio.to_thread(lambda: build(load(path, env={}), FakeLedger()))).runtime
    assert run.directory is None
    with pytest.raises(NotAuthenticated) as caught:
        await admitted(run, rsa_key.token(claims(provider)))
    assert caught.value.code == "invalid_api_key"


async def test_where_auth_is_off_no_issuer_is_asked(
    tmp_path: Path, provider: OpenIdProvider
) -> None:
    made = await built(tmp_path, provider, "auth: none")
    assert made.runtime.directory is None
    assert made.runtime.callers is None


async def test_a_key_with_dots_is_known_by_its_fingerprint(
    tmp_path: Path, provider: OpenIdProvider
) -> None:
    callers = (await built(tmp_path, provider)).runtime.callers
    assert callers is not None
    assert callers[fingerprint("sk.al.ice")].name == "alice"


def test_cryptography_is_loaded_where_an_issuer_is_configured_only() -> None:
    code = "import sys, proxy.build.runtime\nprint('cryptography' in sys.modules)"
    done = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "False\n"
