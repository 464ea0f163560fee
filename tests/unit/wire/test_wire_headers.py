"""Header fields: what ends here, what never leaves, what passes unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.headers import CallerFields, Pairs, to_caller, to_vendor, value, without
from proxy.wire.recalled import Recalled

HOP_BY_HOP = (
    *("Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding"),
    *("Upgrade", "Proxy-Authenticate", "Proxy-Authorization", "Content-Length"),
)
CREDENTIALS = (
    *("Authorization", "x-api-key", "API-Key", "Cookie", "OpenAI-Organization", "OpenAI-Project"),
    *("Host", "Expect", "HTTP2-Settings", "traceparent", "tracestate", "X-LLM-Proxy-Provider"),
)
TIED_TO_THE_VENDOR = (
    *("Set-Cookie", "X-Request-Id", "Alt-Svc", "Strict-Transport-Security", "x-llm-proxy-model"),
)

spelt = st.sampled_from([str.lower, str.upper, str.title])


@given(st.sampled_from(HOP_BY_HOP + CREDENTIALS), spelt)
def test_never_leaves_for_the_vendor(name: str, spell: type[str]) -> None:
    field = (spell(name).encode(), b"secret")
    assert to_vendor([(b"a", b"1"), field, (b"b", b"2")]) == [(b"a", b"1"), (b"b", b"2")]


@given(st.sampled_from(HOP_BY_HOP + TIED_TO_THE_VENDOR), spelt)
def test_never_reaches_the_caller(name: str, spell: type[str]) -> None:
    field = (spell(name).encode(), b"secret")
    assert to_caller([(b"a", b"1"), field, (b"b", b"2")]) == [(b"a", b"1"), (b"b", b"2")]


@pytest.mark.parametrize("passes", [to_vendor, to_caller])
def test_all_else_passes_in_order_in_its_own_spelling(passes: type[Pairs]) -> None:
    fields = [
        (b"X-Odd", b" \xff "),
        (b"accept", b"a"),
        (b"Accept", b"b"),
        (b"retry-after", b"1"),
        (b"OpenAI-Beta", b"assistants=v2"),
    ]
    assert passes(fields) == fields


@pytest.mark.parametrize("passes", [to_vendor, to_caller])
@pytest.mark.parametrize(
    "connection",
    [
        [b"x-named"],
        [b"keep-alive, X-Named"],
        [b"close ,\tx-NAMED,, "],
        [b"keep-alive", b"x-named"],
    ],
)
def test_fields_named_by_connection_end_here(passes: type[Pairs], connection: list[bytes]) -> None:
    fields = [(b"X-Named", b"1"), *((b"Connection", line) for line in connection), (b"b", b"2")]
    assert passes(fields) == [(b"b", b"2")]


@pytest.mark.parametrize("line", [b"keep-alive", b"close", b"", b"Keep-Alive"])
def test_an_ordinary_connection_field_names_nothing(line: bytes) -> None:
    assert to_vendor([(b"Connection", line), (b"close", b"1")]) == [(b"close", b"1")]


def test_replaced_fields_go() -> None:
    fields = [(b"Accept-Encoding", b"br"), (b"a", b"1"), (b"X-Mine", b"2")]
    replaced = frozenset((b"accept-encoding", b"x-mine"))
    assert to_vendor(fields, replaced) == to_caller(fields, replaced) == [(b"a", b"1")]


def test_value_and_without() -> None:
    fields = [(b"A", b"1"), (b"b", b"2"), (b"a", b"3")]
    assert value(fields, b"a") == b"1"
    assert value(fields, b"c") is None
    assert without(fields, b"a") == [(b"b", b"2")]


def test_what_was_kept_before_is_kept_again() -> None:
    recalled, raw = Recalled(), [(b"Host", b"x"), (b"A", b"1"), (b"B", b"2"), (b"x-api-key", b"k")]
    all_of_them, but_a = CallerFields(frozenset()), CallerFields(frozenset((b"a",)))
    for judge, kept in ((all_of_them, [*raw[1:3]]), (but_a, [raw[2]]), (all_of_them, [*raw[1:3]])):
        for _ in range(2):
            found = judge.kept_again(raw, recalled)
            assert found == kept == judge.kept_again(raw, None) == judge.kept(raw)
            found.append((b"ours", b"to add"))
