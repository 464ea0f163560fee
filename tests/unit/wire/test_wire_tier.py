"""The service tier: where vendors write it, and where a caller wrote it to look like theirs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.tier import tier_in

USAGE = b'"usage":{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":0}}'
CHUNK = (
    b'data: {"id":"c","service_tier":"%b","choices":[{"delta":{"content":"x"}}],"usage":null}\n\n'
)
DEEP = b'{"properties":{"service_tier":"flex","a":{"service_tier" : "flex"}}}'

NAMED = {
    "chat": b'{"choices":[{"message":{"content":"}"}}],' + USAGE + b',"service_tier":"priority"}',
    "chat, something between": b'{"choices":[],%b,"x":{"service_tier":"flex"},"service_tier":'
    b'"priority","system_fingerprint":"f"}' % USAGE,
    "chat, pretty": b'{\n  "choices": [],\n  "usage": {\n    "a": 1\n  },\n'
    b'  "service_tier": "priority"\n}',
    "chat stream": CHUNK % b"default"
    + b'data: {"id":"c","service_tier":"priority","choices":[],%b}\n\n' % USAGE
    + b"data: [DONE]\n\n",
    "chat stream, CR alone": CHUNK.replace(b"\n", b"\r") % b"default"
    + b'data: {"id":"c","service_tier":"priority","choices":[],%b}\r\r' % USAGE,
    "chat stream, cut": CHUNK % b"priority" + CHUNK % b"priority",
    "responses": b'{"output":[{"text":"\\"service_tier\\":\\"flex\\"}"}],"service_tier":"priority",'
    b'"tools":[%b,%b],"top_p":1,%b,"metadata":{"service_tier":"flex"}}' % (DEEP, DEEP, USAGE),
    "responses stream": b'data: {"type":"response.created","response":{"service_tier":"auto"}}\n\n'
    b'event: response.completed\ndata: {"response":{"service_tier":"priority","store":true,'
    b'"tools":[%b],%b,"user":null,"metadata":{}}}\n\n' % (DEEP, USAGE),
    "groq": b'{"choices":[],%b,"x_groq":{"id":"r"},"service_tier":"priority"}' % USAGE,
    "anthropic": b'{"usage":{"input_tokens":1,"service_tier":"priority"}}',
    "anthropic, fast": b'{"usage":{"input_tokens":1,"service_tier":"standard","speed":"priority"}}',
}
UNNAMED = {
    "nothing": b"",
    "no usage": b'{"data":[{"url":"x"}]}',
    "usage alone": b"{" + USAGE + b"}",
    "null": b'{"service_tier":null,' + USAGE + b"}",
    "a number": b"{" + USAGE + b',"service_tier":7}',
    "metadata behind": b"{" + USAGE + b',"metadata":{"service_tier":"flex"}}',
    "metadata before": b'{"metadata":{"service_tier":"flex"},' + USAGE + b"}",
    "a name with a quote in it": b'{"metadata":{"a\\"service_tier":"flex"},' + USAGE + b"}",
    "in a schema": b'{"tools":[%b],%b}' % (DEEP, USAGE),
    "in a schema whose beginning is out of reach": b'"b":{"service_tier":"flex"}}}],%b}' % USAGE,
    "in what is said": b'{"choices":[{"content":"\\"service_tier\\":\\"flex\\""}],%b}' % USAGE,
    "around the object": b'{"service_tier":"flex","response":{%b}}' % USAGE,
    "in another event": CHUNK % b"flex" + b'data: {"choices":[],%b}\n\n' % USAGE,
    "a stream of another kind, cut": b'data: {"response":{"service_tier":"flex"}}\n\n',
    "standard": b'{"usage":{"input_tokens":1,"service_tier":"standard"}}',
}


@pytest.mark.parametrize("name", NAMED)
def test_a_tier_is_read_where_vendors_write_it(name: str) -> None:
    assert tier_in(NAMED[name]) == "priority"


@pytest.mark.parametrize("name", UNNAMED)
def test_what_a_caller_wrote_is_not_taken_for_it(name: str) -> None:
    assert tier_in(UNNAMED[name]) == ""


_JSON = st.recursive(
    st.sampled_from(['"service_tier"', '"x\\"{"', '"}"', "1", "null"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(st.tuples(st.sampled_from(["service_tier", 'a\\"service_tier', "b"]), inner))
        .map(lambda pairs: ",".join(f'"{name}":{value}' for name, value in pairs))
        .map("{{{}}}".format)
        | st.just('{"service_tier":"flex"}')
    ),
    max_leaves=12,
)


@given(_JSON, _JSON, st.booleans(), st.integers(0, 200))
def test_whatever_stands_beside_it_only_the_sibling_of_usage_counts(
    one: str, other: str, before: bool, cut: int
) -> None:
    tier = b'"service_tier":"priority"'
    parts = [b'"m":' + one.encode(), USAGE, b'"n":' + other.encode()]
    unnamed = b"{" + b",".join(parts) + b"}"
    parts.insert(0 if before else 3, tier)
    whole = b"{" + b",".join(parts) + b"}"
    assert tier_in(unnamed[min(cut, unnamed.index(USAGE)) :]) == ""
    assert tier_in(whole) == "priority"


def test_many_decoys_are_walked_over_once() -> None:
    decoys = b",".join([b'{"service_tier":"flex"}'] * 700)
    assert tier_in(b'{"tools":[%b],%b}' % (decoys, USAGE)) == ""
    assert tier_in(b'{"service_tier":"priority","tools":[%b],%b}' % (decoys, USAGE)) == "priority"
