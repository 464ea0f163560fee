"""Facts: from every operation, lazily, and never a failure."""

import pytest

from proxy.core.caller import Caller
from proxy.core.labels import Labels
from proxy.routing.facts import facts_of
from proxy.wire import operations as op
from proxy.wire.body import Body
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange, runtime
from tests.unit.routing.asking import EVERYTHING, chat, facts

GERMAN = "Wie wird das Wetter und was soll ich anziehen?"


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (op.CHAT, {"messages": [{"role": "user", "content": GERMAN}]}),
        (op.CHAT, {"messages": [{"content": [{"type": "text", "text": GERMAN}], "role": "user"}]}),
        (op.COMPLETIONS, {"prompt": GERMAN}),
        (op.COMPLETIONS, {"prompt": [GERMAN]}),
        (op.RESPONSES, {"input": GERMAN}),
        (op.RESPONSES, {"input": [{"role": "user", "content": GERMAN}]}),
        (op.RESPONSES, {"input": [{"content": [{"type": "input_text", "text": GERMAN}]}]}),
        (op.RESPONSES, {"input": [{"type": "function_call_output", "output": GERMAN}]}),
        (op.EMBEDDINGS, {"input": [GERMAN]}),
        (op.MODERATIONS, {"input": GERMAN}),
        (op.IMAGES, {"prompt": GERMAN}),
        (op.SPEECH, {"input": GERMAN}),
        (op.RERANK, {"query": GERMAN}),
    ],
)
def test_words_are_found_where_each_operation_has_them(
    operation: op.Operation, body: dict[str, object]
) -> None:
    found = facts(body, operation)
    assert (found.prompt, found.language) == (GERMAN, "de")
    assert found.content_tokens == -(-len(GERMAN) // 4)


def test_the_parts_of_a_request_add_up() -> None:
    found = facts({"instructions": "abcd", "input": "efgh"}, op.RESPONSES)
    assert (found.prompt, found.content_tokens) == ("abcd\nefgh", 2)
    found = facts({"query": "abcd", "documents": ["efgh", {"text": "x"}]}, op.RERANK)
    assert found.prompt == "abcd\nefgh\ntext\nx"


def test_the_last_thing_said_has_the_language() -> None:
    system = {"role": "system", "content": "You are a helpful assistant. Answer in one sentence."}
    body = {"messages": [system, {"role": "user", "content": GERMAN}]}
    assert facts(body).language == "de"


@pytest.mark.parametrize("numbers", [[1, 2, 3], [[1, 2], [3]]])
def test_tokens_that_are_numbers_are_counted(numbers: list[object]) -> None:
    assert facts({"input": numbers}, op.EMBEDDINGS).content_tokens == 3


@pytest.mark.parametrize(
    ("operation", "modality"),
    [
        (op.TRANSCRIPTIONS, {"audio"}),
        (op.IMAGE_EDITS, {"text", "image"}),
        (op.IMAGE_VARIATIONS, {"image"}),
        (op.CHAT, {"text"}),
    ],
)
def test_a_form_has_no_words(operation: op.Operation, modality: set[str]) -> None:
    found = facts(None, operation)
    assert found.modality == modality
    assert (found.content_tokens, found.contains_code, found.contains_math) == (0, False, False)
    assert (found.language, found.metadata, found.task, found.tools) == (None, {}, None, False)


@pytest.mark.parametrize(
    ("more", "tools"),
    [
        ({}, False),
        ({"tools": None}, False),
        ({"tools": []}, False),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, True),
        ({"functions": [{"name": "f"}]}, True),
    ],
)
def test_tools(more: dict[str, object], tools: bool) -> None:
    assert facts(chat(**more)).tools is tools


def test_white_space_is_no_tool() -> None:
    assert not facts(b'{"messages":[],"tools": [ \n ] }').tools


@pytest.mark.parametrize(
    ("operation", "more", "wanted"),
    [
        (op.CHAT, {}, False),
        (op.CHAT, {"response_format": {"type": "json_object"}}, False),
        (op.CHAT, {"response_format": {"type": "json_schema", "json_schema": {}}}, True),
        (op.CHAT, {"text": {"format": {"type": "json_schema"}}}, False),
        (op.RESPONSES, {"text": {"format": {"type": "json_schema"}}}, True),
    ],
)
def test_json_schema(operation: op.Operation, more: dict[str, object], wanted: bool) -> None:
    assert facts({"model": "m", **more}, operation).json_schema is wanted


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        (b'{"a":1}', {"a": 1}),
        (b"null", {}),
        (b"[1]", {}),
        (b'"a"', {}),
        (b'{"a":1e999}', {}),
        (b'{"a":"%b"}' % (b"x" * 20_000), {}),
        (b'{"a":[%b1]}' % (b"1," * 600), {}),
    ],
)
def test_metadata_never_fails(metadata: bytes, found: object) -> None:
    assert facts(b'{"metadata":%b}' % metadata).metadata == found


@pytest.mark.parametrize(
    ("header", "said", "task"),
    [
        (None, "review", "review"),
        ("code", "review", "code"),
        (None, 7, None),
        (None, None, None),
        (" ", "review", "review"),
        ("a" * 500, None, "a" * 128),
    ],
)
def test_the_header_comes_before_the_body(
    header: str | None, said: object, task: str | None
) -> None:
    assert facts(chat(metadata={"task_type": said}), task=header).task == task


def test_who_asks() -> None:
    caller = Caller("k", EVERYTHING, team="research", tier="pro")
    found = facts(chat(), caller=caller, labels=Labels(agent="bot", tags=("a", "b")))
    assert (found.key, found.team, found.user_tier) == ("k", "research", "pro")
    assert (found.agent, found.tags) == ("bot", ("a", "b"))


def test_each_is_looked_for_once() -> None:
    found = facts(chat("```python\nx\n```"))
    assert found.said is found.said
    assert found.contains_code
    found._said = None
    assert found.contains_code
    assert found._said is None
    undecided = facts(chat("hm"))
    assert undecided.language is None
    undecided._said = undecided.said._replace(last=GERMAN)
    assert undecided.language is None


def test_facts_of_an_exchange() -> None:
    incoming = FakeIncoming(headers=[("X-LLM-Proxy-Task", "summary")])
    x = exchange(runtime({}), incoming)
    x.body, x.model, x.stream = Body(b'{"model":"m","messages":[]}'), "m", True
    x.labels = Labels(agent="bot")
    found = facts_of(x)
    assert (found.model, found.task, found.stream, found.agent) == ("m", "summary", True, "bot")
    x.body = None
    assert facts_of(x).content_tokens == 0
