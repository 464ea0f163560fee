"""Who may use what, and which vendor gets it: allow-lists, weights, the next target."""

from collections import Counter
from typing import Any

import pytest

from tests.fakes.tcp import TcpProxy
from tests.fakes.vendor import Vendor
from tests.integration.gateway import (
    EXPIRED,
    RENAMED,
    SOME,
    Gateway,
    closed_port,
    gateway,
    provider,
    settings,
    target,
)
from tests.integration.raw_caller import Fields

BOTH_LOOPS = True

CHAT = "/v1/chat/completions"
CONFINED: Fields = [("authorization", f"Bearer {SOME}")]


def body(model: str) -> bytes:
    return b'{"model":"%b"}' % model.encode()


@pytest.mark.parametrize("model", ["gpt-4o-mini", "team-a", "team-abc/x"])
async def test_a_confined_key_may_use_its_models(proxy: Gateway, model: str) -> None:
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, headers=CONFINED, body=body(model), key=False)
    assert answer.status == 200


@pytest.mark.parametrize("model", ["renamed", "team-b", "demo"])
async def test_a_confined_key_may_not_use_others(
    proxy: Gateway, vendor: Vendor, model: str
) -> None:
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, headers=CONFINED, body=body(model), key=False)
    assert (answer.status, answer.error["code"]) == (403, "key_model_access_denied")
    assert answer.error["param"] == "model" and answer.error["type"] == "permission_error"
    assert vendor.calls == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/files"),
        ("POST", "/v1/batches"),
        ("DELETE", "/v1/models/x"),
        ("GET", CHAT),
        ("POST", "/v1/moderations"),
    ],
)
async def test_a_confined_key_may_not_use_what_names_no_model(
    proxy: Gateway, vendor: Vendor, method: str, path: str
) -> None:
    caller = await proxy.call()
    answer = await caller.ask(method, path, headers=CONFINED, body=b'{"input":"x"}', key=False)
    assert (answer.status, answer.error["code"]) == (403, "key_operation_access_denied")
    assert vendor.calls == 0


async def test_models_lists_what_the_key_may_use(proxy: Gateway) -> None:
    caller = await proxy.call()
    everything = (await caller.ask("GET", "/v1/models")).json()
    assert [card["id"] for card in everything["data"]] == ["gpt-4o-mini", "renamed", "demo"]
    some = (await caller.ask("GET", "/v1/models", headers=CONFINED, key=False)).json()
    assert [card["id"] for card in some["data"]] == ["gpt-4o-mini"]
    one = await caller.ask("GET", "/v1/models/team-a%2Fb", headers=CONFINED, key=False)
    assert one.json()["id"] == "team-a/b"
    denied = await caller.ask("GET", "/v1/models/renamed", headers=CONFINED, key=False)
    assert denied.status == 403


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([], "missing_api_key"),
        ([("authorization", "Bearer ")], "missing_api_key"),
        ([("authorization", "Basic c2stZXZlcnl0aGluZw==")], "missing_api_key"),
        ([("authorization", "Bearer sk-unknown")], "invalid_api_key"),
        ([("x-api-key", "sk-unknown")], "invalid_api_key"),
        ([("authorization", f"Bearer {EXPIRED}")], "expired_key"),
    ],
)
async def test_a_caller_without_a_good_key_is_refused(
    proxy: Gateway, vendor: Vendor, fields: Fields, code: str
) -> None:
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, headers=fields, body=body("demo"), key=False)
    assert (answer.status, answer.error["code"]) == (401, code)
    assert "sk-unknown" not in answer.error["message"]
    assert (await caller.ask("GET", "/healthz", key=False)).status == 200
    assert vendor.calls == 0


async def test_without_auth_everybody_may_call(vendor: Vendor) -> None:
    async with gateway(settings(vendor, auth="none", keys=[])) as proxy:
        caller = await proxy.call()
        answer = await caller.ask("POST", CHAT, body=body("gpt-4o-mini"), key=False)
        assert answer.status == 200


async def test_an_unknown_model_names_the_near_one_only_to_who_may_use_it(
    proxy: Gateway,
) -> None:
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=body("renamde"))
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert "`renamed`" in answer.error["message"]
    hidden = await caller.ask("POST", CHAT, headers=CONFINED, body=body("renamde"), key=False)
    assert hidden.status == 404
    assert "`renamed`" not in hidden.error["message"]


def two_targets(first: str, second: str, weights: tuple[int, int] = (1, 0)) -> dict[str, Any]:
    return settings(
        first,
        providers={"first": provider(first), "second": provider(second)},
        models={
            "m": {
                "targets": [
                    target("first", "a", weight=weights[0]),
                    target("second", "b", weight=weights[1]),
                ]
            }
        },
        passthrough={"provider": "first"},
    )


async def test_targets_share_requests_by_weight(vendor: Vendor) -> None:
    async with (
        Vendor() as other,
        gateway(two_targets(vendor.url, other.url, (3, 1))) as proxy,
    ):
        caller = await proxy.call()
        names: Counter[str | None] = Counter()
        for _ in range(400):
            answer = await caller.ask("POST", CHAT, body=body("m"))
            names[answer.header("x-llm-proxy-provider")] += 1
        assert names.total() == 400
        assert 240 < names["first"] < 360  # 300; the chance of a miss is below 1e-11.
        assert {asked.json()["model"] for asked in other.requests} == {"b"}


async def test_a_target_that_cannot_be_reached_gives_way_to_the_next(vendor: Vendor) -> None:
    config = two_targets(f"http://127.0.0.1:{closed_port()}/v1", vendor.url)
    async with gateway(config) as proxy:
        caller = await proxy.call()
        for stream in (b"", b',"stream":true'):
            answer = await caller.ask("POST", CHAT, body=b'{ "model":"m"%b}' % stream)
            assert answer.status == 200
            assert answer.header("x-llm-proxy-provider") == "second"
        assert vendor.requests[0].body == b'{ "model":"b"}'


async def test_a_name_that_does_not_resolve_gives_way_to_the_next(vendor: Vendor) -> None:
    config = two_targets("http://nobody.invalid/v1", vendor.url)
    async with gateway(config) as proxy:
        caller = await proxy.call()
        answer = await caller.ask("POST", CHAT, body=body("m"))
        assert answer.header("x-llm-proxy-provider") == "second"


async def test_what_broke_before_its_head_goes_to_the_next(vendor: Vendor) -> None:
    async with Vendor() as other, TcpProxy(vendor.port) as link:
        link.cut_after(0)
        url = f"http://127.0.0.1:{link.port}/v1"
        async with gateway(two_targets(url, other.url)) as proxy:
            caller = await proxy.call()
            answer = await caller.ask("POST", CHAT, body=body("m"))
            assert (answer.status, answer.header("x-llm-proxy-attempts")) == (200, "2")
        assert (vendor.calls, other.calls) == (1, 1)


async def test_a_target_s_refusal_of_the_request_is_the_caller_s_answer(vendor: Vendor) -> None:
    async with (
        Vendor() as other,
        gateway(two_targets(vendor.url, other.url)) as proxy,
    ):
        vendor.say(400, body=b"{}")
        caller = await proxy.call()
        answer = await caller.ask("POST", CHAT, body=body("m"))
        assert answer.status == 400 and answer.error["type"] == "invalid_request_error"
        assert other.calls == 0


async def test_when_all_fail_the_error_tells_what_was_tried(vendor: Vendor) -> None:
    async with (
        Vendor() as other,
        gateway(two_targets(vendor.url, other.url)) as proxy,
    ):
        vendor.say(503, body=b"{}")
        other.say(429, headers=[("retry-after", "7")], body=b"{}")
        caller = await proxy.call()
        answer = await caller.ask("POST", CHAT, body=body("m"))
        assert (answer.status, answer.header("retry-after")) == (429, "7")
        assert answer.error["provider_specific_fields"]["attempts"] == [
            {"provider": "first", "model": "a", "error": "overloaded", "status": 503},
            {"provider": "second", "model": "b", "error": "rate_limit", "status": 429},
        ]


async def test_a_connection_the_vendor_closed_meanwhile_costs_the_caller_nothing(
    proxy: Gateway, vendor: Vendor
) -> None:
    caller = await proxy.call()
    for reset in (False, True, False):
        assert (await caller.ask("POST", CHAT, body=body("gpt-4o-mini"))).status == 200
        vendor.drop_idle(reset=reset)
    assert (await caller.ask("POST", CHAT, body=body("gpt-4o-mini"))).status == 200
    assert vendor.calls == 4


@pytest.mark.parametrize("file_first", [False, True])
@pytest.mark.parametrize("asked", ["gpt-4o-mini", "renamed"])
async def test_a_form_s_model_decides_where_it_goes(
    proxy: Gateway, vendor: Vendor, file_first: bool, asked: str
) -> None:
    sound = bytes(range(256)) * 8000  # More than waits in memory.
    file = b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + sound

    def form(model: str) -> bytes:
        named = b'Content-Disposition: form-data; name="model"\r\n\r\n' + model.encode()
        parts = (file, named) if file_first else (named, file)
        return b"".join(b"--XX\r\n%b\r\n" % part for part in parts) + b"--XX--\r\n"

    vendor.say(body=b'{"text":"hello"}')
    fields = [("Content-Type", "multipart/form-data; boundary=XX")]
    caller = await proxy.call()
    answer = await caller.ask("POST", "/v1/audio/transcriptions", headers=fields, body=form(asked))
    assert (answer.status, answer.body) == (200, b'{"text":"hello"}')
    assert vendor.requests[0].body == form(RENAMED if asked == "renamed" else asked)
    assert vendor.requests[0].all("content-type") == ["multipart/form-data; boundary=XX"]
