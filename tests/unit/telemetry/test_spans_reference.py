"""Spans as bytes against spans as protobuf objects, for any records one after the other.

One `Spans` makes them all, so that what it keeps of one record meets the next: records are the
example in all but some fields, and of few values.
"""

from collections.abc import Sequence
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from proxy.telemetry import traces
from proxy.telemetry.attributes import fill
from proxy.telemetry.options import Names
from proxy.telemetry.span_request import SpanRequest, framed
from proxy.telemetry.traces import Spans
from proxy.wire.record import AttemptRecord, Content, Cost, Outcome, Usage, UsageRecord, UsageSource
from tests.examples import examples
from tests.unit.telemetry.records import CONTENT, EXAMPLE, FAILED, GOOD, VENDORS, record
from tests.unit.telemetry.reference_spans import ReferenceSpans, ReferenceWords

BOTH: tuple[Names, ...] = ("gen_ai", "openinference")

WORDS = st.sampled_from(["", "fast", "gpt-4o", "ü", "x" * 130, "9" * 9_000])
ODD = WORDS | st.just("a\ud800b")
MAYBE = st.none() | WORDS
SIGNED = st.sampled_from([0, 1, 127, 128, 70_000, 3_000_000, 1 << 40, -1, -70_000])
MICROS = st.none() | SIGNED
SOURCES = st.sampled_from([None, *get_args(UsageSource)])
ERRORS = st.sampled_from([None, "cut", "overloaded"])
STATUSES = st.sampled_from([0, 200, 404, 499, 503])
SPAN_IDS = st.integers(1, (1 << 64) - 1).map(lambda number: f"{number:016x}")
USAGES = st.none() | st.builds(Usage, *[SIGNED] * 8)
COSTS = st.none() | st.builds(Cost, *[SIGNED] * 10)
SAID = st.sampled_from([None, "", CONTENT.input, CONTENT.output, "plain", "{"])
OF_ATTEMPTS: dict[str, st.SearchStrategy[Any]] = {
    "provider": st.sampled_from(["main", "backup", "unknown"]),
    "model": ODD,
    **dict.fromkeys(("started", "ended"), SIGNED),
    **dict.fromkeys(("head", "first_byte"), MICROS),
    "status": STATUSES,
    **dict.fromkeys(("error", "reason", "rescue"), ERRORS),
    "usage": USAGES,
    "usage_source": SOURCES,
    "cost": COSTS,
    "span": st.none() | SPAN_IDS,
    "route": MAYBE,
    "hedge": st.booleans(),
}
ATTEMPTS = st.builds(
    msgspec.structs.replace,
    st.sampled_from([GOOD, FAILED]),
    **OF_ATTEMPTS,
) | st.sampled_from([GOOD, FAILED])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("id", "key", "worker", "config"), WORDS),
    "at": st.sampled_from([0, -5, 1_760_000_000_000_001]),
    "operation": st.sampled_from(["chat", "embeddings", "rerank", "passthrough", "models", "new"]),
    "outcome": st.sampled_from(get_args(Outcome)),
    "status": STATUSES,
    "done": SIGNED,
    **dict.fromkeys(("user", "session", "model"), st.none() | ODD),
    **dict.fromkeys(("team", "project", "customer", "agent"), MAYBE),
    "tags": st.lists(ODD, max_size=3).map(tuple),
    **dict.fromkeys(("route", "rule", "served_provider", "served_model", "prices"), MAYBE),
    **dict.fromkeys(("error", "code", "cache"), ERRORS),
    **dict.fromkeys(("stream", "unpriced", "sampled"), st.booleans()),
    **dict.fromkeys(("bytes_in", "bytes_out", "arrived"), SIGNED),
    **dict.fromkeys(("admitted", "first_token", "overhead"), MICROS),
    "usage": USAGES,
    "usage_source": SOURCES,
    "cost": st.none() | SIGNED,
    "attempts": st.lists(ATTEMPTS, max_size=3).map(tuple),
    "trace": st.integers(1, (1 << 128) - 1).map(lambda number: f"{number:032x}"),
    "span": SPAN_IDS,
    "parent": st.none() | SPAN_IDS,
    "content": st.none() | st.builds(Content, input=SAID, output=SAID),
}
CHANGES = st.sets(st.sampled_from(sorted(FIELDS)), max_size=6).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
)
NAMES = st.sampled_from([BOTH, (), ("gen_ai",), ("openinference",)])


def told(span: Span) -> Span:
    """With its attributes in the order of their names, which no collector goes by."""
    attributes = sorted(span.attributes, key=lambda pair: pair.key)
    del span.attributes[:]
    span.attributes.extend(attributes)
    return span


def of_reference(of: UsageRecord, names: Sequence[Names]) -> list[Span] | None:
    try:
        spans = ReferenceSpans(ReferenceWords(names, VENDORS)).of(of)
    except (ValueError, TypeError):
        return None
    return [told(span) for span in spans]


def of_bytes(spans: Spans, of: UsageRecord) -> list[Span] | None:
    try:
        made = spans.of(of)
    except (ValueError, TypeError):
        return None
    return [told(Span.FromString(each)) for each in made]


@settings(max_examples=examples(150))
@given(st.lists(CHANGES, min_size=1, max_size=4), NAMES)
def test_any_records(changes: list[dict[str, Any]], names: Sequence[Names]) -> None:
    spans = Spans(names, VENDORS)
    for each in changes:
        made = record(**each)
        assert of_bytes(spans, made) == of_reference(made, names)


def test_the_tables_have_every_field() -> None:
    assert set(FIELDS) == set(UsageRecord.__struct_fields__)
    assert set(OF_ATTEMPTS) == set(AttemptRecord.__struct_fields__)


@settings(max_examples=examples(6))
@given(st.data())
@pytest.mark.parametrize("name", sorted(FIELDS))
def test_a_record_that_differs_in_one_field_only(name: str, data: st.DataObject) -> None:
    spans = Spans(BOTH, VENDORS)
    for made in (EXAMPLE, record(**{name: data.draw(FIELDS[name])}), EXAMPLE):
        assert of_bytes(spans, made) == of_reference(made, BOTH)


@settings(max_examples=examples(6))
@given(st.data())
@pytest.mark.parametrize("name", sorted(OF_ATTEMPTS))
def test_an_attempt_that_differs_in_one_field_only(name: str, data: st.DataObject) -> None:
    spans = Spans(BOTH, VENDORS)
    changed = msgspec.structs.replace(GOOD, **{name: data.draw(OF_ATTEMPTS[name])})
    for attempts in ((GOOD,), (changed,), (GOOD, changed)):
        made = record(attempts=attempts)
        assert of_bytes(spans, made) == of_reference(made, BOTH)


def test_what_is_kept_is_bounded() -> None:
    spans = Spans(BOTH, VENDORS)
    for number in range(2 * traces.KINDS_KEPT):
        made = record(model=f"m-{number}", attempts=())
        assert of_bytes(spans, made) == of_reference(made, BOTH)
        assert len(spans._kept) <= traces.KINDS_KEPT
    before = len(spans._kept)
    _ = spans.of(record(rule="r" * 10_000))  # Of the attempts one is new, and of usual length.
    assert len(spans._kept) <= before + 2
    assert max(map(len, spans._kept.values())) <= traces.LONGEST_KEPT


def test_a_request_is_what_protobuf_makes_of_the_same_spans() -> None:
    resource, scope = Resource(), InstrumentationScope(name="llm-proxy", version="1")
    fill(resource.attributes, {"service.name": "llm-proxy"})
    made = [*Spans(BOTH, VENDORS).of(EXAMPLE), *Spans(BOTH, VENDORS).of(record(content=CONTENT))]
    spans = [Span.FromString(each) for each in made]
    whole = ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(resource=resource, scope_spans=[ScopeSpans(scope=scope, spans=spans)])
        ]
    )
    assert (
        ExportTraceServiceRequest.FromString(SpanRequest(resource, scope).of(map(framed, made)))
        == whole
    )
