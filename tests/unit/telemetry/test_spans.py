"""Spans of a record as golden data: ids, names, times, status, and every attribute."""

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from proxy.telemetry.options import Names
from proxy.telemetry.span_start import BadIds
from proxy.telemetry.traces import Spans, client_name, server_name
from proxy.wire.record import UsageRecord
from tests.unit.telemetry.collector import attributes
from tests.unit.telemetry.records import (
    CALLER,
    CONTENT,
    EXAMPLE,
    FIRST,
    GOOD,
    SECOND,
    SERVER,
    TRACE,
    VENDORS,
    attempt,
    record,
    refused,
)

METADATA = '{"request_id":"req_1","key":"alice","team":"blue"}'
BOTH: tuple[Names, ...] = ("gen_ai", "openinference")

HTTP = {
    "http.request.method": "POST",
    "http.route": "/v1/chat/completions",
    "http.response.status_code": 200,
    "http.request.body.size": 75,
    "http.response.body.size": 900,
}
OURS = {
    "llm_proxy.request_id": "req_1",
    "llm_proxy.operation": "chat",
    "llm_proxy.outcome": "completed",
    "llm_proxy.key": "alice",
    "llm_proxy.team": "blue",
    "llm_proxy.user": "a@example.org",
    "llm_proxy.session": "s-1",
    "llm_proxy.tags": ("x", "y"),
    "llm_proxy.model": "fast",
    "llm_proxy.route": "fast",
    "llm_proxy.served.provider": "backup",
    "llm_proxy.served.model": "claude-sonnet-4-5",
    "llm_proxy.stream": True,
    "llm_proxy.attempts": 2,
    "llm_proxy.usage_source": "upstream",
    "llm_proxy.time_to_first_token": 0.5,
    "llm_proxy.overhead": 0.0003,
    "llm_proxy.worker": "w1",
    "llm_proxy.config": "c7",
    "llm_proxy.cost_nano_usd": 1_234_567,
    "llm_proxy.cost_usd": 0.001234567,
}
CONTEXT = {
    "session.id": "s-1",
    "user.id": "a@example.org",
    "tag.tags": ("x", "y"),
    "metadata": METADATA,
}
FAILED_ATTEMPT = {
    "server.address": "eu.example.com",
    "server.port": 443,
    "http.response.status_code": 503,
    "error.type": "503",
    "llm_proxy.request_id": "req_1",
    "llm_proxy.provider": "main",
    "llm_proxy.attempt": 1,
    "llm_proxy.reason": "overloaded",
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "azure.ai.openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.request.stream": True,
    "gen_ai.conversation.id": "s-1",
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.provider": "azure.ai.openai",
}
GOOD_ATTEMPT = {
    "http.response.status_code": 200,
    "http.request.resend_count": 1,
    "llm_proxy.request_id": "req_1",
    "llm_proxy.provider": "backup",
    "llm_proxy.attempt": 2,
    "llm_proxy.usage_source": "upstream",
    "llm_proxy.cost_nano_usd": 1_234_567,
    "llm_proxy.cost_usd": 0.001234567,
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.request.stream": True,
    "gen_ai.response.time_to_first_chunk": 0.299,
    "gen_ai.conversation.id": "s-1",
    "gen_ai.usage.input_tokens": 19,
    "gen_ai.usage.output_tokens": 41,
    "gen_ai.usage.cache_read.input_tokens": 3,
    "gen_ai.usage.cache_creation.input_tokens": 2,
    "gen_ai.usage.reasoning.output_tokens": 5,
    "openinference.span.kind": "LLM",
    "llm.model_name": "claude-sonnet-4-5",
    "llm.provider": "anthropic",
    "llm.token_count.prompt": 19,
    "llm.token_count.completion": 41,
    "llm.token_count.total": 60,
    "llm.token_count.prompt_details.cache_read": 3,
    "llm.token_count.prompt_details.cache_write": 2,
    "llm.token_count.completion_details.reasoning": 5,
    "llm.cost.prompt": 0.000234567,
    "llm.cost.completion": 0.001,
    "llm.cost.total": 0.001234567,
}
SAID = {
    "input.value": CONTENT.input,
    "input.mime_type": "application/json",
    "output.value": CONTENT.output,
    "output.mime_type": "application/json",
}
GEN_AI_SAID = {
    "gen_ai.input.messages": (
        '[{"role":"user","parts":[{"type":"text","content":"Weather in Paris?"}]}]'
    ),
    "gen_ai.output.messages": (
        '[{"role":"assistant","parts":[{"type":"text","content":"Rain."}],"finish_reason":"stop"}]'
    ),
}


def spans(of: UsageRecord, names: tuple[Names, ...] = BOTH) -> list[Span]:
    return [Span.FromString(each) for each in Spans(names, VENDORS).of(of)]


def told(span: Span) -> dict[str, object]:
    return attributes(list(span.attributes))


def test_the_tree() -> None:
    server, first, second = spans(EXAMPLE)
    assert {span.trace_id.hex() for span in (server, first, second)} == {TRACE}
    assert [span.span_id.hex() for span in (server, first, second)] == [SERVER, FIRST, SECOND]
    assert server.parent_span_id.hex() == CALLER
    assert [span.parent_span_id.hex() for span in (first, second)] == [SERVER, SERVER]
    assert [span.name for span in (server, first, second)] == [
        "POST /v1/chat/completions",
        "chat gpt-4o",
        "chat claude-sonnet-4-5",
    ]
    assert [span.kind for span in (server, first, second)] == [
        Span.SPAN_KIND_SERVER,
        Span.SPAN_KIND_CLIENT,
        Span.SPAN_KIND_CLIENT,
    ]
    assert [span.flags for span in (server, first, second)] == [0x301, 0x101, 0x101]


def test_the_times() -> None:
    at = EXAMPLE.at * 1000
    assert [
        (span.start_time_unix_nano - at, span.end_time_unix_nano - at) for span in spans(EXAMPLE)
    ] == [(0, 1_500_000_000), (1_000_000, 200_000_000), (201_000_000, 1_500_000_000)]


def test_the_attributes() -> None:
    server, first, second = spans(EXAMPLE)
    assert told(server) == {**HTTP, **OURS, **CONTEXT, "openinference.span.kind": "CHAIN"}
    assert told(first) == {**FAILED_ATTEMPT, **CONTEXT}
    assert told(second) == {**GOOD_ATTEMPT, **CONTEXT}


def test_what_was_said_is_told_if_the_record_has_it() -> None:
    server, first, second = spans(record(content=CONTENT))
    assert told(server) == {
        **HTTP,
        **OURS,
        **CONTEXT,
        **SAID,
        "openinference.span.kind": "CHAIN",
    }
    assert told(first) == {**FAILED_ATTEMPT, **CONTEXT}
    assert told(second) == {**GOOD_ATTEMPT, **CONTEXT, **SAID, **GEN_AI_SAID}


def test_only_the_names_that_were_asked_for() -> None:
    said = record(content=CONTENT)
    theirs = (
        "openinference.",
        "llm.",
        "input.",
        "output.",
        "session.",
        "user.",
        "tag.",
        "metadata",
    )
    gen_ai = [key for span in spans(said, ("gen_ai",)) for key in told(span)]
    assert [key for key in gen_ai if key.startswith(theirs)] == []
    assert "gen_ai.input.messages" in gen_ai
    openinference = [key for span in spans(said, ("openinference",)) for key in told(span)]
    assert [key for key in openinference if key.startswith("gen_ai.")] == []
    assert "llm.model_name" in openinference


def test_tokens_stand_on_attempts_only() -> None:
    assert [key for key in told(spans(EXAMPLE)[0]) if "token_count" in key or "usage." in key] == []


def test_a_root_has_no_parent() -> None:
    root = spans(record(parent=None))[0]
    assert (root.parent_span_id, root.flags) == (b"", 0x101)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, None),
        ({"outcome": "refused", "status": 401, "error": "not_authenticated"}, None),
        ({"outcome": "client_gone", "status": 499, "error": "CancelledError"}, None),
        ({"outcome": "failed", "status": 502, "error": "connect"}, "connect"),
        ({"outcome": "upstream_cut", "status": 200, "error": "cut"}, "cut"),
        ({"outcome": "upstream_cut", "status": 200, "error": None}, "upstream_cut"),
    ],
)
def test_the_request_failed_if_we_or_a_vendor_did(
    changes: dict[str, object], error: str | None
) -> None:
    span = spans(record(**changes))[0]
    assert told(span).get("error.type") == error
    code = Status.STATUS_CODE_UNSET if error is None else Status.STATUS_CODE_ERROR
    assert (span.status.code, span.status.message) == (code, error or "")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, None),
        ({"status": 0, "error": "connect"}, "connect"),
        ({"status": 429, "error": "status"}, "429"),
        ({"status": 200, "error": "cut"}, "cut"),
    ],
)
def test_an_attempt_failed_with_a_status_or_our_word(
    changes: dict[str, object], error: str | None
) -> None:
    span = spans(record(attempts=(attempt(**changes),)))[1]
    assert told(span).get("error.type") == error
    assert (span.status.code == Status.STATUS_CODE_ERROR) is (error is not None)


def test_a_refusal_is_one_span() -> None:
    (span,) = spans(refused(route=None, model="junk"))
    assert told(span)["llm_proxy.error_code"] == "invalid_api_key"


def test_an_attempt_without_an_id_gets_the_same_one_each_time() -> None:
    twice = record(attempts=(attempt(span=None), attempt(span=None)))
    ids = [span.span_id for span in spans(twice)]
    assert len(set(ids)) == 3
    assert ids == [span.span_id for span in spans(twice)]


@pytest.mark.parametrize(
    "changes",
    [
        {"trace": None},
        {"trace": "xyz"},
        {"trace": "0" * 32},
        {"span": "1234"},
        {"parent": "no hex here!!!!"},
        {"attempts": (attempt(span="1" * 18),)},
    ],
)
def test_bad_ids_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadIds):
        spans(record(**changes))


@pytest.mark.parametrize(
    ("operation", "server", "client", "kind", "model_key"),
    [
        ("chat", "POST /v1/chat/completions", "chat m", "LLM", "llm.model_name"),
        ("responses", "POST /v1/responses", "chat m", "LLM", "llm.model_name"),
        ("completions", "POST /v1/completions", "text_completion m", "LLM", "llm.model_name"),
        ("embeddings", "POST /v1/embeddings", "embeddings m", "EMBEDDING", "embedding.model_name"),
        ("rerank", "POST /v1/rerank", "rerank m", "RERANKER", "reranker.model_name"),
        ("speech", "POST /v1/audio/speech", "speech m", "LLM", "llm.model_name"),
    ],
)
def test_operations(operation: str, server: str, client: str, kind: str, model_key: str) -> None:
    found = spans(record(operation=operation, attempts=(attempt(model="m"),)))
    assert [span.name for span in found] == [server, client]
    assert told(found[1])["openinference.span.kind"] == kind
    assert told(found[1])[model_key] == "m"
    assert told(found[1])["gen_ai.operation.name"] == client.split(maxsplit=1)[0]


def test_what_names_no_model_has_no_words_of_models() -> None:
    through = record(operation="passthrough", attempts=(attempt(model=""),), model=None, route=None)
    found = spans(through)
    assert [span.name for span in found] == ["HTTP /v1/*", "passthrough"]
    assert [key for key in told(found[1]) if key.startswith(("gen_ai.", "llm.token"))] == []
    assert server_name("a caller's word") == "HTTP /v1/*"
    assert client_name("chat", "") == "chat"


def test_numbers_that_were_not_measured_are_not_told() -> None:
    bare = attempt(first_byte=None, usage=None, cost=None, usage_source=None)
    keys = set(told(spans(record(attempts=(bare,), stream=False, session=None))[1]))
    assert {
        key for key in keys if "usage" in key or "cost" in key or "chunk" in key or "session" in key
    } == set()
    assert "gen_ai.request.stream" not in keys


def test_a_cost_of_nothing_is_told() -> None:
    free = attempt(cost=type(GOOD.cost)() if GOOD.cost else None)
    assert told(spans(record(attempts=(free,)))[1])["llm_proxy.cost_nano_usd"] == 0


def test_long_texts_are_cut() -> None:
    long = record(content=type(CONTENT)(input="ü" * 400_000, output="x"))
    value = told(spans(long)[0])["input.value"]
    assert isinstance(value, str)
    assert len(value) == 256 * 1024 + 1
    assert value.endswith("ü…")
