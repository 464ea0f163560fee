"""The other steps: trace, auth, rules, access, plan and the list of models."""

from dataclasses import replace

import pytest

from proxy.base.clock import wall
from proxy.base.errors import (
    AccessDenied,
    BadRequest,
    NotAuthenticated,
    NotFound,
    OperatorError,
    ProxyError,
)
from proxy.base.jsonio import loads
from proxy.base.secret import fingerprint
from proxy.core.caller import ANONYMOUS, UNKNOWN, Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.steps import take
from proxy.core.target import Target
from proxy.core.tracing import NOT_TRACED
from proxy.middleware.access import access
from proxy.middleware.auth import auth
from proxy.middleware.catalogue import catalogue
from proxy.middleware.plan import plan
from proxy.middleware.rules import rules
from proxy.middleware.trace import trace
from proxy.wire.errors import envelope
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange, provider, runtime
from tests.fakes.wire import FakeTransport

ON = Target(provider("on", FakeTransport()), "u")
OFF = Target(provider("off", FakeTransport(), off="it has no key"), "u")
MINI = Caller("mini", ModelPatterns.of(("*-mini",)))
ALICE = Caller("alice", ModelPatterns.of(("*",)))
CALLERS = {
    fingerprint("sk-alice"): ALICE,
    fingerprint("sk-old"): Caller("old", ALICE.models, expires=wall() - 1),
    fingerprint("sk-new"): Caller("new", ALICE.models, expires=wall() + 3600),
}
RUN = runtime(
    {"gpt-mini": (ON,), "gpt": (OFF, ON), "gone": (OFF,), "x/*": (ON,), "o/*": (OFF,)},
    passthrough=ON,
    callers=CALLERS,
)


def asked(
    *headers: tuple[str, str], model: str | None = None, path: str = "/files", method: str = "POST"
) -> Exchange:
    path = "/chat/completions" if model is not None else path
    x = exchange(RUN, FakeIncoming(b"", path, headers, method=method))
    x.model = model
    x.caller = ANONYMOUS
    return x


PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.mark.parametrize("parent", [PARENT, "cc" + PARENT[2:] + "-what-comes"])
async def test_trace_context_is_kept(parent: str) -> None:
    x = asked(("traceparent", parent), ("tracestate", "a=b"))
    assert trace(x) is None
    assert x.trace.fields(None) == ((b"traceparent", parent.encode()), (b"tracestate", b"a=b"))
    assert (x.trace.trace, x.trace.parent, x.trace.span) == ("a" * 32, "b" * 16, None)
    assert x.trace.sampled


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00-" + "0" * 32 + "-" + "b" * 16 + "-01",
        "00-" + "a" * 32 + "-" + "0" * 16 + "-01",
        "ff" + PARENT[2:],
        PARENT.upper(),
        PARENT + "\n",
        PARENT[:-1],
        PARENT + "-\udcff",
    ],
)
async def test_a_trace_context_that_is_wrong_is_dropped_whole(parent: str) -> None:
    x = asked(("traceparent", parent), ("tracestate", "a=b"))
    trace(x)
    assert x.trace == NOT_TRACED
    assert x.trace.fields(None) == ()


async def test_a_trace_state_that_is_wrong_is_dropped_alone() -> None:
    x = asked(("traceparent", PARENT), ("tracestate", "\udcff"))
    trace(x)
    assert x.trace.fields(None) == ((b"traceparent", PARENT.encode()),)


async def test_where_spans_are_exported_the_vendors_parent_is_the_attempt() -> None:
    x = asked(("traceparent", PARENT[:-2] + "00"), ("tracestate", "a=b"))
    x.runtime = replace(x.runtime, spans=True)
    trace(x)
    assert (x.trace.trace, x.trace.parent) == ("a" * 32, "b" * 16)
    assert x.trace.span not in {None, "b" * 16}
    assert not x.trace.sampled
    parent = b"00-" + b"a" * 32 + b"-" + b"c" * 16 + b"-00"
    assert x.trace.fields("c" * 16) == ((b"traceparent", parent), (b"tracestate", b"a=b"))


async def test_where_spans_are_exported_a_trace_begins_here() -> None:
    x, y = asked(), asked(("traceparent", "nonsense"), ("tracestate", "a=b"))
    for each in (x, y):
        each.runtime = replace(each.runtime, spans=True)
        trace(each)
        assert each.trace.parent is None
        (sent,) = each.trace.fields("c" * 16)
        assert sent == (b"traceparent", f"00-{each.trace.trace}-{'c' * 16}-01".encode())
    assert x.trace.trace != y.trace.trace


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Authorization", "Bearer sk-alice"),
        ("Authorization", "bearer   sk-alice "),
        ("x-api-key", "sk-alice"),
        ("api-key", "sk-alice"),
    ],
)
async def test_the_key_may_come_in_three_ways(name: str, words: str) -> None:
    x = asked((name, words))
    assert await take(auth, x) is None
    assert x.caller is ALICE


async def test_another_scheme_leaves_the_place_to_other_fields() -> None:
    x = asked(("authorization", "Basic abc"), ("x-api-key", "sk-new"))
    await take(auth, x)
    assert x.caller.name == "new"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ((), "missing_api_key"),
        ((("authorization", "Bearer "),), "missing_api_key"),
        ((("authorization", "sk-alice"),), "missing_api_key"),
        ((("x-api-key", ""),), "missing_api_key"),
        ((("authorization", "Bearer sk-bob"),), "invalid_api_key"),
        ((("authorization", "Bearer \udcff"),), "invalid_api_key"),
        ((("authorization", "Bearer sk-bob"), ("x-api-key", "sk-alice")), "invalid_api_key"),
        ((("api-key", "sk-old"),), "expired_key"),
    ],
)
async def test_who_is_not_let_in(headers: tuple[tuple[str, str], ...], code: str) -> None:
    x = asked(*headers)
    x.caller = UNKNOWN
    with pytest.raises(NotAuthenticated) as caught:
        await take(auth, x)
    assert caught.value.code == code
    assert b"sk-" not in envelope(caught.value)
    assert x.caller is UNKNOWN


async def test_without_auth_everybody_is_anonymous() -> None:
    x = exchange(runtime({}), FakeIncoming(headers=[("authorization", "Bearer whatever")]))
    await take(auth, x)
    assert x.caller is ANONYMOUS


async def test_rules_find_the_route() -> None:
    x = asked(model="x/y")
    assert rules(x) is None
    assert x.route is not None
    assert x.route.model == "x/*"
    x = asked()
    rules(x)
    assert x.route is None


async def test_an_unknown_model_is_told_with_a_near_name_that_is_allowed() -> None:
    x = asked(model="gpt-mimi")
    with pytest.raises(NotFound, match="did you mean `gpt-mini`") as caught:
        rules(x)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    x.caller = Caller("nobody", ModelPatterns.of(("zzz",)))
    with pytest.raises(NotFound) as caught:
        rules(x)
    assert "gpt-mini" not in caught.value.message


@pytest.mark.parametrize("model", ["a\nb", "a\0", "x" * 257, "a\u202eb"])
async def test_names_that_no_field_could_carry(model: str) -> None:
    with pytest.raises(BadRequest):
        rules(asked(model=model))


@pytest.mark.parametrize(
    ("caller", "model", "allowed"),
    [
        (ALICE, "anything", True),
        (ALICE, None, True),
        (MINI, "gpt-mini", True),
        (MINI, "gpt", False),
        (MINI, None, False),
    ],
)
async def test_access(caller: Caller, model: str | None, allowed: bool) -> None:
    x = asked(model=model)
    x.caller = caller
    if allowed:
        assert access(x) is None
        return
    with pytest.raises(AccessDenied) as caught:
        access(x)
    assert caught.value.code == ("key_" + ("operation" if model is None else "model")
                                 + "_access_denied")  # fmt: skip


async def planned(x: Exchange) -> tuple[str, ...]:
    rules(x)
    plan(x)
    return tuple(target.provider.name for target in x.plan)


async def test_targets_that_are_off_are_left_out() -> None:
    for _ in range(10):
        assert await planned(asked(model="gpt")) == ("on",)


async def test_passthrough_and_the_provider_asked_for() -> None:
    assert await planned(asked()) == ("on",)
    assert await planned(asked(("x-llm-proxy-provider", "on"))) == ("on",)


REFUSED: dict[str, tuple[Exchange, type[ProxyError], str | None]] = {
    "all off": (asked(model="gone"), OperatorError, "no_healthy_target"),
    "all off behind a pattern": (asked(model="o/y"), NotFound, "model_not_found"),
    "unknown provider": (
        asked(("x-llm-proxy-provider", "no\udcff")),
        BadRequest,
        "provider_not_found",
    ),
    "provider that is off": (asked(("x-llm-proxy-provider", "off")), OperatorError, None),
}


@pytest.mark.parametrize(("x", "error", "code"), REFUSED.values(), ids=REFUSED)
async def test_no_plan(x: Exchange, error: type[ProxyError], code: str | None) -> None:
    with pytest.raises(error) as caught:
        await planned(x)
    assert code is None or caught.value.code == code
    assert loads(envelope(caught.value))["error"]["message"]
    if error is OperatorError:
        assert (b"x-should-retry", b"false") in caught.value.headers


@pytest.mark.parametrize(
    ("path", "error", "code"),
    [("/files", NotFound, "unknown_url"), ("/embeddings", BadRequest, "missing_field")],
)
async def test_without_passthrough(path: str, error: type[ProxyError], code: str) -> None:
    with pytest.raises(error) as caught:
        plan(exchange(runtime({"m": (ON,)}), FakeIncoming(path=path)))
    assert caught.value.code == code


async def listed(path: str, caller: Caller) -> dict[str, object]:
    x = asked(path=path, method="GET")
    x.caller = caller
    reply = catalogue(x)
    assert reply is not None
    assert reply.status == 200
    found: dict[str, object] = loads(reply.body)
    return found


async def test_models_are_those_this_key_may_use() -> None:
    card = {"id": "gpt-mini", "object": "model", "created": 0, "owned_by": "llm-proxy"}
    assert await listed("/v1/models", MINI) == {"object": "list", "data": [card]}
    assert await listed("/models/gpt-mini", MINI) == card
    assert (await listed("/models/x%2Fy", ALICE))["id"] == "x/y"
    everything = await listed("/v1/models/", ALICE)
    assert [found["id"] for found in everything["data"]] == ["gpt-mini", "gpt", "gone"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "error"),
    [("/models/gpt", AccessDenied), ("/models/zzz", NotFound), ("/models/%FF", NotFound)],
)
async def test_models_that_are_not_shown(path: str, error: type[ProxyError]) -> None:
    with pytest.raises(error):
        await listed(path, MINI)


async def test_other_operations_are_not_answered_here() -> None:
    assert catalogue(asked(path="/models/m", method="DELETE")) is None
