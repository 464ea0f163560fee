"""Parameters: what the operator sets stands in the body, all else keeps its bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.errors import BadRequest
from proxy.base.jsonio import dumps, loads
from proxy.wire.body import Body
from proxy.wire.parameters import PROTECTED, WEIGHS, Parameters, apply, unfit
from proxy.wire.parameters_table import HARMLESS, Taker

CHAT = b'{"model":"m", "messages":[{"role":"user","content":"hi"}]'


def body(more: bytes = b"") -> Body:
    return Body(CHAT + more + b"}")


def test_nothing_to_do_leaves_the_very_bytes() -> None:
    asked = body(b', "temperature" : 0.50')
    raw = asked.raw
    params = Parameters.of({"temperature": 0.7}, {"temperature": 1, "max_tokens": 9}, {})
    asked.set("max_tokens", b"9")
    raw = asked.raw
    assert apply(asked, params, "chat", Taker("gpt-4o")) == []
    assert asked.raw is raw


@pytest.mark.parametrize("said", [b"", b',"temperature":null'])
def test_a_default_is_for_those_who_say_nothing(said: bytes) -> None:
    asked = body(said)
    assert apply(asked, Parameters.of({"temperature": 0.7}), "chat") == ["temperature"]
    assert asked.value("temperature") == b"0.7"
    assert asked.raw.startswith(CHAT)


def test_a_default_gives_way() -> None:
    asked = body(b',"temperature":0,"stop":[]')
    assert apply(asked, Parameters.of({"temperature": 0.7, "stop": "x"}), "chat") == []


def test_force_wins_over_everybody() -> None:
    asked = body(b',"temperature":0')
    params = Parameters.of({"temperature": 0.7}, {}, {"temperature": 0.2, "logit_bias": {"1": 2}})
    assert apply(asked, params, "chat") == ["temperature", "logit_bias"]
    assert asked.raw == CHAT + b',"temperature":0.2,"logit_bias":{"1":2}}'


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (b"0.2", b"0.2"),
        (b"1", b"1"),
        (b"1.0", b"1.0"),
        (b"1.01", b"1"),
        (b"2e0", b"1"),
        (b"1e999", b"1"),
        (b"-1e999", b"-1e999"),
        (b"9" * 400, b"1"),
        (b"-5", b"-5"),
        (b"null", b"null"),
    ],
)
def test_a_number_is_held_down(said: bytes, left: bytes) -> None:
    asked = body(b',"temperature":' + said)
    changed = apply(asked, Parameters.of(limit={"temperature": 1}), "chat")
    assert asked.value("temperature") == left
    assert changed == ([] if said == left else ["temperature"])


@pytest.mark.parametrize("said", [b'"9"', b"true", b"[9]", b"{}"])
def test_what_has_a_limit_is_a_number(said: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        apply(body(b',"top_k":' + said), Parameters.of(limit={"top_k": 5}), "chat")
    assert (caught.value.code, caught.value.param) == ("invalid_type", "top_k")


def test_a_limit_says_nothing_where_nothing_is_said() -> None:
    asked = body()
    assert apply(asked, Parameters.of(limit={"temperature": 1}), "chat") == []


CAPS = [
    ("chat", b"", "gpt-4o", {"max_tokens": 10}),
    ("chat", b"", "o3-mini", {"max_completion_tokens": 10}),
    ("chat", b',"max_tokens":99', "gpt-4o", {"max_tokens": 10}),
    ("chat", b',"max_tokens":5', "gpt-4o", {"max_tokens": 5}),
    ("chat", b',"max_tokens":99', "openai/gpt-5-mini", {"max_completion_tokens": 10}),
    ("chat", b',"max_tokens":5', "gpt-5", {"max_completion_tokens": 5}),
    ("chat", b',"max_completion_tokens":99', "gpt-4o", {"max_completion_tokens": 10}),
    (
        *("chat", b',"max_completion_tokens":99,"max_tokens":5', "gpt-4o"),
        {"max_completion_tokens": 10, "max_tokens": 5},
    ),
    ("chat", b',"max_completion_tokens":8,"max_tokens":5', "o1", {"max_completion_tokens": 5}),
    ("chat", b',"max_completion_tokens":4,"max_tokens":5', "o1", {"max_completion_tokens": 4}),
    ("chat", b',"max_completion_tokens":4,"max_tokens":null', "o1", {"max_completion_tokens": 4}),
    ("completions", b"", "x", {"max_tokens": 10}),
    ("responses", b"", "gpt-4o", {"max_output_tokens": 10}),
    ("responses", b',"max_output_tokens":11', "o3", {"max_output_tokens": 10}),
    ("embeddings", b"", "x", {}),
]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
@pytest.mark.parametrize(("operation", "said", "model", "caps"), CAPS)
def test_the_cap_is_one_whatever_it_is_called(
    name: str, operation: str, said: bytes, model: str, caps: dict[str, int]
) -> None:
    asked = body(said)
    apply(asked, Parameters.of(limit={name: 10}), operation, Taker(model))
    found = {key: value for key, value in loads(asked.raw).items() if key.startswith("max_")}
    assert found == caps


def test_a_default_cap_gives_way_to_one_under_another_name() -> None:
    asked = body(b',"max_completion_tokens":5')
    assert apply(asked, Parameters.of({"max_tokens": 100}), "chat") == []


def test_a_forced_cap_leaves_no_other() -> None:
    asked = body(b',"max_completion_tokens":5,"max_tokens":6')
    apply(asked, Parameters.of(force={"max_tokens": 100}), "chat")
    assert asked.raw == CHAT + b',"max_completion_tokens":100}'


def test_vendors_that_know_the_old_name_only_get_that() -> None:
    asked = body(b',"max_completion_tokens":5')
    taker = Taker("m", refused=frozenset(("max_completion_tokens",)))
    assert unfit(asked, Parameters(refuse_unsupported=True), "chat", taker) is None
    apply(asked, Parameters(), "chat", taker)
    assert asked.raw == CHAT + b',"max_tokens":5}'


@pytest.mark.parametrize(
    ("operation", "name", "is_set"),
    [
        ("chat", "temperature", True),
        ("chat", "top_k", True),
        ("chat", "reasoning_effort", True),
        ("chat", "dimensions", False),
        ("responses", "reasoning_effort", False),
        ("responses", "frequency_penalty", False),
        ("responses", "temperature", True),
        ("embeddings", "temperature", False),
        ("embeddings", "dimensions", True),
        ("embeddings", "input_type", True),
        ("rerank", "temperature", False),
        ("speech", "speed", True),
    ],
)
def test_only_what_the_operation_has_is_set(operation: str, name: str, is_set: bool) -> None:
    for params in (Parameters.of({name: 1}), Parameters.of(force={name: 1})):
        asked = body()
        assert apply(asked, params, operation) == ([name] if is_set else [])
        assert (name in asked) is is_set


def test_refusal_names_the_field_and_changes_nothing() -> None:
    asked = body(b',"seed":4,"logit_bias":{"1":5}')
    raw = asked.raw
    params = Parameters.of({"temperature": 0.5}, refuse_unsupported=True)
    with pytest.raises(BadRequest) as caught:
        apply(asked, params, "chat", Taker("o3-mini"))
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "logit_bias")
    assert asked.raw is raw


def test_what_the_operator_sets_is_dropped_without_blame() -> None:
    asked = body()
    params = Parameters.of({"temperature": 0.5}, refuse_unsupported=True)
    apply(asked, params, "chat", Taker("o3-mini"))
    assert asked.raw == CHAT + b"}"


@pytest.mark.parametrize("name", sorted(PROTECTED))
@pytest.mark.parametrize("part", range(3))
def test_what_a_request_is_cannot_be_set(name: str, part: int) -> None:
    parts: list[dict[str, int]] = [{}, {}, {}]
    parts[part] = {name: 1}
    with pytest.raises(ValueError, match=name):
        Parameters.of(*parts)


@pytest.mark.parametrize("value", ["1", True, None, [1]])
def test_a_limit_must_be_a_number(value: object) -> None:
    with pytest.raises(ValueError, match="temperature"):
        Parameters.of(limit={"temperature": value})


def test_of_several_caps_the_lowest_counts() -> None:
    params = Parameters.of(limit={"max_tokens": 20, "max_completion_tokens": 10})
    assert params.limit == {"max_tokens": b"10"}


def test_a_rule_over_a_model() -> None:
    model = Parameters.of({"a": 1, "b": 1}, {"n": 4, "top_k": 50}, {"c": 1})
    rule = Parameters.of({"a": 2}, {"n": 8, "top_k": 9}, {"d": 2}, refuse_unsupported=True)
    both = rule.under(model)
    assert both.default == {"a": b"2", "b": b"1"}
    assert both.limit == {"n": b"4", "top_k": b"9"}
    assert both.force == {"c": b"1", "d": b"2"}
    assert both.refuse_unsupported


values = st.one_of(st.integers(-5, 5), st.floats(0, 3), st.none())
numeric = st.dictionaries(
    st.sampled_from(["temperature", "top_p", "n", "max_tokens", "max_completion_tokens", "seed"]),
    values,
)
bounds = st.dictionaries(st.sampled_from(["temperature", "n", "max_tokens"]), st.integers(1, 3))


@given(numeric, numeric, bounds, st.sampled_from(["gpt-4o", "o3-mini", "gpt-5.2", "llama", ""]))
def test_applying_twice_is_applying_once(
    said: dict[str, float | None],
    default: dict[str, float | None],
    limit: dict[str, int],
    model: str,
) -> None:
    asked = body(b"".join(b",%b:%b" % (dumps(name), dumps(said[name])) for name in said))
    params = Parameters.of(default, limit)
    changed = apply(asked, params, "chat", Taker(model))
    once = asked.raw
    assert Body(once).raw == once
    assert once.startswith(CHAT)
    assert apply(asked, params, "chat", Taker(model)) == []
    found = loads(once)
    for name, bound in limit.items():
        assert (found.get(name) or 0) <= bound
    if "max_tokens" in limit:
        assert any(found.get(cap) is not None for cap in ("max_tokens", "max_completion_tokens"))
    untouched = set(said) - set(changed)
    assert all(found[name] == said[name] for name in untouched)


def test_what_costs_is_among_what_weighs() -> None:
    asked = body(b',"max_tokens":5,"n":3')
    params = Parameters.of(force={"n": 1, "max_tokens": 7, "temperature": 1})
    assert WEIGHS.intersection(apply(asked, params, "chat")) == {"n", "max_tokens"}
    assert "temperature" not in WEIGHS


def test_nothing_that_changes_the_question_is_called_harmless() -> None:
    asks = {"tools", "functions", "response_format", "text", "stop", "n", "max_tokens"}
    assert not HARMLESS & (asks | PROTECTED)
