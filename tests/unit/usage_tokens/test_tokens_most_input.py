"""The most tokens of input: never less than OpenAI counts, whatever field a text stands in."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.base import jsonio
from proxy.usage.tokens.encodings import Encodings, encoding_name, is_openai
from proxy.usage.tokens.images import _FORMULAS, _USUAL, most_picture
from proxy.usage.tokens.inputs import input_tally
from proxy.usage.tokens.most_input import Question, most_input

Formula = tuple[str, Callable[[tuple[int, int], str], int]]
ENCODINGS = Encodings()
TEXT = "The quick brown fox jumps over the lazy dog. " * 20
CHAT = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXT}]}


def most(fields: dict[str, Any], *models: str) -> int | None:
    return most_input(Question(models or ("gpt-4o",), jsonio.dumps(fields)), ENCODINGS)


def exact(operation: str, fields: dict[str, Any], model: str = "gpt-4o") -> int:
    encoding = ENCODINGS.get(encoding_name(model))
    return input_tally(operation, fields, model, 10**6).total(encoding)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4", "gpt-3.5-turbo", "o3"])
def test_a_conversation_is_counted_nearly_exactly(model: str) -> None:
    found = most(CHAT, model)
    true = exact("chat", CHAT, model)
    assert found is not None
    assert true <= found <= true + 32


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("embeddings", {"input": [TEXT, TEXT]}),
        ("embeddings", {"input": [[1, 2, 3], [4]]}),
        ("completions", {"prompt": TEXT, "suffix": "end"}),
        ("responses", {"instructions": "Be brief.", "input": TEXT}),
        ("responses", {"input": [{"role": "user", "content": TEXT}]}),
    ],
)
def test_never_less_than_the_formula(operation: str, fields: dict[str, Any]) -> None:
    found = most(fields)
    assert found is not None and found >= exact(operation, fields)


def test_half_as_much_again_where_counting_is_no_science() -> None:
    plain, other = most(CHAT), most(CHAT, "llama-3")
    assert plain is not None and other is not None
    assert other >= 3 * (plain - 16) // 2
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    with_tools = most({**CHAT, "tools": tools})
    assert with_tools is not None and with_tools > 3 * plain // 2
    assert most(CHAT, "gpt-4o", "llama-3") == other


def test_text_in_fields_that_nobody_knows_counts() -> None:
    plain = most(CHAT)
    hidden = most({**CHAT, "documents": [{"snippet": TEXT}]})
    assert plain is not None and hidden is not None and hidden > plain + 100
    assert most({**CHAT, "metadata": {"note": TEXT}, "user": TEXT}) == plain


def test_pictures() -> None:
    def asked(url: str) -> int | None:
        part = {"type": "image_url", "image_url": {"url": url}}
        return most({"messages": [{"role": "user", "content": [part]}]}, "gpt-4o-mini")

    remote = asked("https://example.com/a.png")
    assert remote is not None and remote >= most_picture("gpt-4o-mini")
    broken = asked("data:image/png;base64,AAAA")
    assert broken is not None and broken >= most_picture("gpt-4o-mini")


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1", "input": "x"},
        {"input": [{"type": "input_file", "file_id": "f"}]},
        {"messages": [{"content": [{"type": "input_audio", "input_audio": {"data": "A"}}]}]},
        {"messages": [{"content": [{"type": "file", "file": {"file_data": "A"}}]}]},
        {"messages": [1] * 60_000},
        {"messages": "x" * 1_100_000},
    ],
)
def test_what_cannot_be_counted_is_not(fields: dict[str, Any]) -> None:
    assert most(fields) is None


def test_no_json() -> None:
    assert most_input(Question(("gpt-4o",), b"{"), ENCODINGS) is None
    assert Question(("m",), b"x" * 9_000_000).too_large


def test_families() -> None:
    for name in ("gpt-4o", "gpt-4.1-mini", "o1", "o3-mini", "ft:gpt-4o:org", "openai/gpt-5"):
        assert is_openai(name), name
    for name in ("gpt-oss-120b", "llama-3", "claude-3-5", "olmo", "o1x", "m"):
        assert not is_openai(name), name


def test_the_largest_picture_bounds_every_size() -> None:
    """By the published formulas, over sides and details."""
    usual: Formula = ("gpt-4o", _USUAL)
    for start, formula in (*_FORMULAS, usual):
        if start == "gemini":
            continue  # Google scales down first; its largest is documented.
        most_of = max(
            formula((width, height), "high")
            for width in (1, 512, 768, 1024, 2048, 4096, 10_000)
            for height in (1, 512, 768, 1024, 2048, 4096, 10_000)
        )
        assert most_of <= most_picture(start), start
