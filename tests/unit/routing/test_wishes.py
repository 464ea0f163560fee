"""Wishes: where they come from, what they may be, what is refused, and by which name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.errors import BadRequest
from proxy.base.jsonio import dumps
from proxy.routing.wishes import Wishes, wishes_of
from proxy.wire.body import Body
from tests.fakes.caller import FakeIncoming

ALL = {
    "max_cost": "0.05",
    "max_latency": "800ms",
    "min_quality": "0.7",
    "fallbacks": "a, b,,a",
    "provider": "openai",
    "residency": "local",
    "region": "eu",
    "tier": "2",
}
UNDERSTOOD = Wishes(50_000_000, 0.8, 0.7, ("a", "b"), "openai", "local", "eu", 2)
NONSENSE: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("max_cost", ("5 cents", "-1", "", "nan", "1e99", "0x1", "1_0", "٣", "9" * 5000)),
    ("max_cost", (True, [], {}, -0.1, 1_000_001)),
    ("max_latency", ("soon", "0", "0ms", "-1s", "1d", "inf", "", "9" * 400, True, 1e308, [1])),
    ("min_quality", ("high", "1.01", "-0", "", "1e99", 2, True)),
    ("fallbacks", ("a\nb", "1,2,3,4,5,6,7,8,9", "a" * 300, "," * 10**5)),
    ("fallbacks", (7, {}, ["a", 1], ["a"] * 9, True)),
    ("provider", ("", "  ", "a\0", "a" * 300, 1, [])),
    ("residency", ("Local", "eu", "", 1, [], {})),
    ("region", ("", "a\r", 1)),
    ("tier", ("0", "10", "gold", "²", "", 1.5, -1, True)),
)


def header(name: str) -> str:
    return "x-llm-proxy-" + name.replace("_", "-")


def wished(
    headers: dict[str, str] | None = None, metadata: object = None, **more: object
) -> Wishes | None:
    fields = [(header(name), value) for name, value in (headers or {}).items()]
    said = more if metadata is None else {"metadata": metadata, **more}
    return wishes_of(FakeIncoming(headers=fields), Body(dumps(said)))


def test_nothing_wished_is_nothing() -> None:
    assert wished() is None
    assert wished(model="m") is None
    assert wished({"agent": "scout"}, {"task_type": "sql"}) is None
    assert wishes_of(FakeIncoming(), None) is None
    assert wishes_of(FakeIncoming(), Body(b'{"metadata": null}')) is None


def test_headers_wish() -> None:
    assert wished(ALL) == UNDERSTOOD
    assert wishes_of(FakeIncoming(headers=[(header("tier"), "1")]), None) == Wishes(tier=1)


def test_the_body_wishes() -> None:
    assert wished(metadata=ALL) == UNDERSTOOD
    numbers = {"max_cost": 0.05, "max_latency": 0.8, "min_quality": 0.7, "tier": 2}
    assert wished(metadata={**ALL, **numbers, "fallbacks": ["a", "b"]}) == UNDERSTOOD


def test_headers_come_before_the_body() -> None:
    assert wished({"tier": "1"}, {"tier": 2, "region": "eu"}) == Wishes(tier=1, region="eu")


@pytest.mark.parametrize("name", ALL)
def test_one_alone(name: str) -> None:
    expected = Wishes()._replace(**{name: getattr(UNDERSTOOD, name)})
    assert wished({name: ALL[name]}) == expected
    assert wished(metadata={name: ALL[name]}) == expected
    assert wished(metadata={name: None}) is None


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("max_cost", "0", 0),
        ("max_cost", " 2 ", 2 * 10**9),
        ("max_cost", ".5", 5 * 10**8),
        ("max_cost", 1e-05, 10_000),
        ("max_cost", "1e-9", 1),
        ("max_cost", "0.0000000019", 1),  # Down, never up.
        ("max_cost", 0.1, 10**8),
        ("max_cost", 1_000_000, 10**15),
        ("max_latency", "2", 2.0),
        ("max_latency", "1.5s", 1.5),
        ("max_latency", "2m", 120.0),
        ("max_latency", 3, 3.0),
        ("min_quality", 0, 0.0),
        ("min_quality", "1", 1.0),
        ("fallbacks", "", ()),
        ("fallbacks", [], ()),
        ("fallbacks", "a/b:c", ("a/b:c",)),
        ("fallbacks", "1,2,3,4,5,6,7,8", tuple("12345678")),
        ("provider", " openai ", "openai"),
        ("residency", "cloud", "cloud"),
        ("tier", 9, 9),
    ],
)
def test_what_is_understood(name: str, value: object, meant: object) -> None:
    found = wished(metadata={name: value})
    assert found is not None
    assert getattr(found, name) == meant
    if isinstance(value, str):
        assert wished({name: value}) == found


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in NONSENSE for value in values]
)
def test_nonsense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        wished(metadata={name: value})
    assert (refused.value.code, refused.value.param) == ("invalid_value", f"metadata.{name}")
    assert f"`metadata.{name}` must be" in refused.value.message
    assert len(refused.value.message) < 200
    if isinstance(value, str):
        with pytest.raises(BadRequest) as refused:
            wished({name: value})
        assert refused.value.param == header(name)


def test_a_header_given_twice_is_refused() -> None:
    twice = FakeIncoming(headers=[("X-LLM-Proxy-Tier", "1"), ("x-llm-proxy-tier", "2")])
    with pytest.raises(BadRequest) as refused:
        wishes_of(twice, None)
    assert (refused.value.code, refused.value.param) == ("duplicate_header", "x-llm-proxy-tier")


def test_metadata_of_another_type_is_refused() -> None:
    with pytest.raises(BadRequest, match="`metadata` must be an object"):
        wished(metadata=["max_cost"])


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(tuple(ALL)), anything))
def test_nothing_else_can_go_wrong(metadata: dict[str, object]) -> None:
    try:
        raw = dumps({"metadata": metadata})
    except (TypeError, ValueError):  # What JSON cannot say nobody can ask for.
        return
    try:
        found = wishes_of(FakeIncoming(), Body(raw))
    except BadRequest:
        return
    assert found is None or any(wish is not None for wish in found)
