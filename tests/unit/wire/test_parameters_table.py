"""What targets cannot take: by family, by declared capability, by their vendor's row."""

import pytest

from proxy.wire.body import Body
from proxy.wire.parameters import Parameters, apply, unfit
from proxy.wire.parameters_table import Taker, lacks, reasons

DROP, REFUSE = Parameters(), Parameters(refuse_unsupported=True)
TEXT_ONLY = frozenset(("chat",))
TOOLS = b'"tools":[{"type":"function","function":{"name":"f"}}]'
SCHEMA = b'{"type" : "json_schema","json_schema":{"name":"s","schema":{}}}'


def left(members: bytes, taker: Taker, operation: str = "chat") -> bytes:
    body = Body(b"{" + members + b"}")
    apply(body, DROP, operation, taker)
    return body.raw[1:-1]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("o1", True),
        ("o1-2024-12-17", True),
        ("o3-mini", True),
        ("o4-mini", True),
        ("gpt-5", True),
        ("gpt-5-nano-2025-08-07", True),
        ("gpt-5.2-pro", True),
        ("openai/gpt-5", True),
        ("ft:o4-mini:org", True),
        ("gpt-5-chat-latest", False),
        ("gpt-5.1-chat-latest", True),
        ("gpt-50", False),
        ("gpt-4o", False),
        ("o10", False),
        ("olmo", False),
        ("claude-opus-4-5", False),
        ("", False),
    ],
)
def test_who_reasons(model: str, expected: bool) -> None:
    assert reasons(model) is expected


FAMILIES = [
    ("o3", b'"temperature":0.5,"top_p":0.9,"seed":1', b'"seed":1'),
    ("o3", b'"temperature":1,"top_p":1.0,"seed":1', b'"seed":1'),
    ("o1", b'"presence_penalty":1,"frequency_penalty":1,"logit_bias":{"1":1}', b""),
    ("o3-mini", b'"logprobs":true,"top_logprobs":2,"parallel_tool_calls":false', b""),
    ("gpt-5", b'"logprobs":true,"parallel_tool_calls":true', b'"parallel_tool_calls":true'),
    ("gpt-5", b'"temperature":0.5,"reasoning_effort":"low"', b'"reasoning_effort":"low"'),
    ("gpt-5.1", b'"temperature":0.5,"logprobs":true', b'"temperature":0.5,"logprobs":true'),
    (
        *("gpt-5.2", b'"temperature":0.5,"reasoning_effort":"none"'),
        b'"temperature":0.5,"reasoning_effort":"none"',
    ),
    ("gpt-5.2", b'"top_p":0.5,"reasoning_effort":"high"', b'"reasoning_effort":"high"'),
    ("gpt-5.2", b'"presence_penalty":0.5', b""),
    ("gpt-5.2-pro", b'"temperature":0.5', b""),
    ("gpt-5.1-chat-latest", b'"temperature":0.5', b""),
    ("gpt-5.1-codex-max", b'"temperature":0.5', b""),
    ("gpt-5-chat-latest", b'"temperature":0.5', b'"temperature":0.5'),
    ("gpt-4o", b'"temperature":0.5,"reasoning_effort":"low"', b'"temperature":0.5'),
    ("deepseek-chat", b'"temperature":0.5,"reasoning_effort":"low"', None),
    ("o3-mini", b'"stop":["x"]', None),
    ("o3", b'"stop":null', b""),
]


@pytest.mark.parametrize(("model", "said", "expected"), FAMILIES)
def test_a_family_is_asked_only_what_it_takes(
    model: str, said: bytes, expected: bytes | None
) -> None:
    assert left(said, Taker(model)) == (said if expected is None else expected)


def test_responses_say_effort_otherwise() -> None:
    said = b'"reasoning":{"effort":"low"},"temperature":0.5'
    assert left(said, Taker("gpt-5.2"), "responses") == b'"reasoning":{"effort":"low"}'
    said = b'"reasoning":{"effort":"none"},"temperature":0.5'
    assert left(said, Taker("gpt-5.2"), "responses") == said


@pytest.mark.parametrize("model", ["o3", "o3-2025-04-16", "o4-mini"])
def test_a_stop_is_never_dropped_in_silence(model: str) -> None:
    body = Body(b'{"stop":["END"]}')
    lack = unfit(body, DROP, "chat", Taker(model))
    assert lack is not None
    assert (lack.name, lack.harmless) == ("stop", False)
    apply(body, DROP, "chat", Taker(model))
    assert body.raw == b'{"stop":["END"]}'


def test_neutral_values_are_no_reason_to_refuse() -> None:
    body = Body(b'{"temperature":1.0,"top_p":1,"presence_penalty":0,"logit_bias":{},"stop":null}')
    assert unfit(body, REFUSE, "chat", Taker("o3")) is None
    apply(body, REFUSE, "chat", Taker("o3"))
    assert body.raw == b"{}"


MEANT = [
    (TOOLS, "chat", "tools"),
    (b'"functions":[{"name":"f"}]', "chat", "functions"),
    (b'"response_format":' + SCHEMA, "chat", "response_format"),
    (b'"text":{"format":' + SCHEMA + b"}", "responses", "text"),
    (b'"modalities":["text","audio"],"audio":{}', "chat", "modalities"),
]


@pytest.mark.parametrize(("said", "operation", "name"), MEANT)
def test_what_is_meant_and_not_declared_makes_a_target_unfit(
    said: bytes, operation: str, name: str
) -> None:
    body = Body(b"{" + said + b"}")
    lack = unfit(body, DROP, operation, Taker("m", TEXT_ONLY))
    assert lack is not None
    assert (lack.name, lack.harmless) == (name, False)
    assert lack.why
    assert left(said, Taker("m", TEXT_ONLY), operation) == said
    assert unfit(body, DROP, operation, Taker("m")) is None
    able = Taker("m", frozenset(("chat", "tools", "json_schema", "audio")))
    assert unfit(body, DROP, operation, able) is None


def test_words_about_tools_that_are_not_there_go() -> None:
    said = b'"tools":[],"tool_choice":"auto","parallel_tool_calls":false,"seed":1'
    assert left(said, Taker("m", TEXT_ONLY)) == b'"seed":1'
    assert left(said, Taker("m")) == said
    said = b'"response_format":{"type":"json_object"},"modalities":["text"]'
    assert unfit(Body(b"{" + said + b"}"), DROP, "chat", Taker("m", TEXT_ONLY)) is None


def test_a_vendors_row_decides_by_name() -> None:
    taker = Taker("m", refused=frozenset(("seed", "user", "stop", "n")))
    assert left(b'"seed":1,"top_k":4,"user":"u"', taker) == b'"top_k":4'
    body = Body(b'{"seed":1,"n":2}')
    assert [(each.name, each.harmless) for each in lacks(body, "chat", taker)] == [
        ("n", False),
        ("seed", True),
    ]
    assert unfit(Body(b'{"seed":1}'), DROP, "chat", taker) is None
    assert unfit(Body(b'{"seed":1}'), REFUSE, "chat", taker) is not None


@pytest.mark.parametrize("name", ["parallel_tool_calls", "store"])
def test_false_says_something_where_true_is_usual(name: str) -> None:
    taker = Taker("m", refused=frozenset((name,)))
    assert [each.name for each in lacks(Body(b'{"%b":false}' % name.encode()), "chat", taker)]
