"""A snapshot in, a runtime out; transports live as long as nothing they were made from changes."""

import ssl
from pathlib import Path

import pytest

from proxy.base.secret import fingerprint
from proxy.build.order import BUILT, middlewares
from proxy.build.plan import describe
from proxy.build.runtime import Built, build
from proxy.config.load import load
from proxy.config.snapshot import Snapshot
from proxy.core.order import ONCE_PER_REQUEST
from proxy.core.outgoing import Timeouts
from proxy.wire.operations import CHAT
from tests.fakes.ledger import FakeLedger
from tests.fakes.wire import FakeTransport

TEXT = """
keys:
  - {name: alice, key: sk-alice, models: [small, "x/*"], expires: 2030-01-02}
providers:
  demo: {kind: demo, delay: 0s}
  vendor:
    kind: openai
    base_url: http://127.0.0.1:9/base/v1/
    api_keys: [sk-one, sk-two]
    headers: {X-Account: ours}
    timeouts: {connect: 1s, first_token: 2s, idle: 3s, total: 4s}
  own:
    kind: openai
    base_url: http://127.0.0.1:9/v1
    api_keys: [sk-three]
    headers: {Authorization: Token abc}
models:
  small:
    targets: [{provider: demo, model: demo-1}, {provider: vendor, model: big, weight: 3}]
  "x/*": {targets: [{provider: vendor, model: "*"}]}
passthrough: {provider: vendor}
max_body: 1KiB
"""

LEDGER = FakeLedger()


def snapshot(folder: Path, text: str = TEXT) -> Snapshot:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, env={})


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return build(snapshot(tmp_path), LEDGER)


def test_the_runtime_is_what_the_file_says(built: Built) -> None:
    run = built.runtime
    assert run.head_lines == b"x-llm-proxy-config: %b\r\n" % run.version.encode()
    assert run.max_body == 1024
    assert run.callers is not None
    alice = run.callers[fingerprint("sk-alice")]
    assert alice.name == "alice"
    assert "x/1" in alice.models
    assert "big" not in alice.models
    assert alice.expires == 1893542400.0
    assert run.passthrough is run.providers["vendor"]
    assert run.catalogue.names() == ("small",)
    route = run.catalogue.route("small")
    assert route is not None
    assert {(t.provider.name, t.model, t.weight) for t in route.targets} == {
        ("demo", "demo-1", 1.0),
        ("vendor", "big", 3.0),
    }


def test_a_provider_is_what_the_file_says(built: Built) -> None:
    vendor = built.runtime.providers["vendor"].provider
    assert vendor.base_path == "/base/v1"
    assert vendor.timeouts == Timeouts(1.0, 2.0, 3.0, 4.0)
    assert vendor.headers == ((b"X-Account", b"ours"),)
    assert vendor.replaced == {b"x-account"}
    assert vendor.off is None
    keys = vendor.keys
    assert keys is not None
    assert [keys.field(keys.take()) for _ in range(3)] == [
        (b"authorization", b"Bearer sk-one"),
        (b"authorization", b"Bearer sk-two"),
        (b"authorization", b"Bearer sk-one"),
    ]
    assert vendor.adapter(CHAT) is vendor.adapters[""]


def test_headers_with_a_credential_take_the_place_of_keys(built: Built) -> None:
    assert built.runtime.providers["own"].provider.keys is None
    assert built.runtime.providers["demo"].provider.keys is None


def test_a_provider_without_a_key_is_off(tmp_path: Path) -> None:
    run = build(snapshot(tmp_path, TEXT.replace("[sk-one, sk-two]", '[""]')), LEDGER).runtime
    assert run.providers["vendor"].provider.off


def test_without_auth_there_are_no_callers(tmp_path: Path) -> None:
    text = "auth: none\nproviders: {d: {kind: demo}}\n"
    text += "models: {m: {targets: [{provider: d, model: x}]}}\n"
    run = build(snapshot(tmp_path, text), LEDGER).runtime
    assert run.callers is None
    assert run.passthrough is None


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("sk-one", "sk-other", True),
        ("idle: 3s", "idle: 9s", True),
        ("max_body: 1KiB", "max_body: 2KiB", True),
        ("127.0.0.1:9/base/v1/", "127.0.0.1:8/base/v1/", False),
    ],
)
def test_transports_are_kept_where_nothing_they_need_changed(
    tmp_path: Path, built: Built, old: str, new: str, kept: bool
) -> None:
    assert old in TEXT
    following = build(snapshot(tmp_path, TEXT.replace(old, new)), LEDGER, built)
    before = {name: each.transport for name, each in built.lines.items()}
    after = {name: each.transport for name, each in following.lines.items()}
    assert (after["vendor"] is before["vendor"]) is kept
    assert after["demo"] is before["demo"]
    assert following.runtime is not built.runtime
    assert following.runtime.version != built.runtime.version


def with_fakes(built: Built) -> tuple[Built, dict[str, FakeTransport]]:
    from proxy.build.providers import Line

    fakes = {name: FakeTransport() for name in built.lines}
    lines = {name: Line(built.lines[name].made_from, fake) for name, fake in fakes.items()}
    return Built(built.runtime, lines), fakes


def test_what_is_no_longer_used_is_closed(tmp_path: Path, built: Built) -> None:
    old, fakes = with_fakes(built)
    text = TEXT.replace("  own:\n", "  other:\n").replace(":9/base/v1/", ":8/base/v1/")
    following = build(snapshot(tmp_path, text), LEDGER, old)
    assert all(fake.closed == 0 for fake in fakes.values()), "closed before the swap"
    following.replace(old)
    assert {name for name, fake in fakes.items() if fake.closed} == {"vendor", "own"}
    assert following.lines["demo"].transport is fakes["demo"]


def test_close_closes_everything(built: Built) -> None:
    last, fakes = with_fakes(built)
    last.close()
    assert [fake.closed for fake in fakes.values()] == [1, 1, 1]


def test_a_file_that_cannot_be_used_is_an_error_and_touches_nothing(
    tmp_path: Path, built: Built
) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_text("not a certificate", encoding="utf-8")
    text = TEXT.replace(
        "base_url: http://127.0.0.1:9/base/v1/",
        "base_url: https://127.0.0.1:9/v1\n    tls: {ca: ca.pem}",
    )
    old, fakes = with_fakes(built)
    with pytest.raises((OSError, ssl.SSLError)):
        build(snapshot(tmp_path, text), LEDGER, old)
    assert all(fake.closed == 0 for fake in fakes.values())


def test_the_order_is_that_of_core() -> None:
    names = {step: name for name, step in BUILT.items()}
    built = [names[step] for step in middlewares(keep_content=True)]
    assert built == [name for name in ONCE_PER_REQUEST if name in BUILT]
    assert set(BUILT) <= set(ONCE_PER_REQUEST)


@pytest.mark.parametrize(
    ("words", "kept"),
    [("", False), ("telemetry: {content: none}", False), ("telemetry: {content: full}", True),
     ("telemetry: {content: full}\nstore: none", False)],
)  # fmt: skip
def test_only_full_content_has_a_step(tmp_path: Path, words: str, kept: bool) -> None:
    built = build(snapshot(tmp_path, f"{TEXT}\n{words}\n"), LEDGER)
    assert (BUILT["content"] in built.runtime.middlewares) is kept


def test_the_plan_in_words(tmp_path: Path) -> None:
    lines = describe(snapshot(tmp_path).settings)
    text = "\n".join(lines)
    assert "  small → vendor/big 75 %" in lines
    assert "  small → demo/demo-1 25 %" in lines
    assert "  x/* → vendor/*" in lines
    assert "trace → account → auth" in text
    assert "everything else below /v1 goes to vendor" in text
    assert "sk-" not in text
    assert "Token" not in text
