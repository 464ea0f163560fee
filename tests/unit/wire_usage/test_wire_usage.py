"""Every dialect of `usage`: what vendors write, and what the record then says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.jsonio import dumps
from proxy.wire.record import AttemptRecord, Usage, UsageRecord, line_of
from proxy.wire.record_reader import record_of
from proxy.wire.usage import MOST, DetailedUsage, estimate, read_usage

DIALECTS = {
    "openai chat": (
        b'{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,'
        b'"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":10},'
        b'"completion_tokens_details":{"reasoning_tokens":192,"audio_tokens":5,'
        b'"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}',
        Usage(2006, 300, 1920, 0, 192, 10, 5),
    ),
    "openai chat, details null": (
        b'{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,'
        b'"prompt_tokens_details":null,"completion_tokens_details":null}',
        Usage(7, 3),
    ),
    "openai responses": (
        b'{"input_tokens":328,"input_tokens_details":{"cached_tokens":320},"output_tokens":52,'
        b'"output_tokens_details":{"reasoning_tokens":32},"total_tokens":380}',
        Usage(328, 52, 320, 0, 32),
    ),
    "openai embeddings": (b'{"prompt_tokens":8,"total_tokens":8}', Usage(8)),
    "openai images": (
        b'{"total_tokens":100,"input_tokens":50,"output_tokens":50,'
        b'"input_tokens_details":{"text_tokens":10,"image_tokens":40},'
        b'"output_tokens_details":{"text_tokens":0,"image_tokens":50}}',
        DetailedUsage(50, 50, image_in=40, image_out=50),
    ),
    "openai transcription, tokens": (
        b'{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,'
        b'"audio_tokens":14},"output_tokens":45,"total_tokens":59}',
        Usage(14, 45, audio_in=14),
    ),
    "openai transcription, duration": (
        b'{"type":"duration","seconds":9.5}',
        DetailedUsage(audio_ms=9500),
    ),
    "cohere rerank": (
        b'{"billed_units":{"search_units":2}}',
        DetailedUsage(units=2),
    ),
    "cohere embed, pictures": (
        b'{"billed_units":{"input_tokens":3,"images":2,"image_tokens":1200}}',
        DetailedUsage(1203, image_in=1200),
    ),
    "cohere embed, pictures that nobody counted": (
        b'{"billed_units":{"images":2}}',
        DetailedUsage(unmeasured=1),
    ),
    "cohere chat": (
        b'{"billed_units":{"input_tokens":5,"output_tokens":418},'
        b'"tokens":{"input_tokens":71,"output_tokens":418}}',
        Usage(5, 418),
    ),
    "jina rerank": (b'{"total_tokens":815}', Usage(815)),
    "deepseek": (
        b'{"prompt_tokens":1000,"completion_tokens":40,"total_tokens":1040,'
        b'"prompt_cache_hit_tokens":960,"prompt_cache_miss_tokens":40}',
        Usage(1000, 40, 960),
    ),
    "anthropic": (
        b'{"input_tokens":21,"cache_creation_input_tokens":188,"cache_read_input_tokens":2051,'
        b'"cache_creation":{"ephemeral_5m_input_tokens":88,"ephemeral_1h_input_tokens":100},'
        b'"output_tokens":393,"server_tool_use":{"web_search_requests":2},'
        b'"service_tier":"standard"}',
        DetailedUsage(2260, 393, 2051, 188, cache_write_1h=100, searches=2),
    ),
    "anthropic's numbers under openai's names": (
        b'{"prompt_tokens":2260,"completion_tokens":393,"total_tokens":2653,'
        b'"cache_creation_input_tokens":188,"cache_read_input_tokens":2051}',
        Usage(2260, 393, 2051, 188),
    ),
    "openai's names, cached tokens apart": (
        b'{"prompt_tokens":21,"completion_tokens":393,"total_tokens":414,'
        b'"cache_read_input_tokens":2051}',
        Usage(2072, 393, 2051),
    ),
    "groq": (
        b'{"queue_time":0.0179,"prompt_tokens":44,"prompt_time":0.0025,"completion_tokens":19,'
        b'"completion_time":0.019,"total_tokens":63,"total_time":0.0215,'
        b'"prompt_tokens_details":{"cached_tokens":12}}',
        Usage(44, 19, 12),
    ),
    "mistral": (
        b'{"prompt_audio_seconds":{},"prompt_tokens":16,"completion_tokens":34,"total_tokens":50}',
        Usage(16, 34),
    ),
    "mistral, audio": (
        b'{"prompt_audio_seconds":203,"prompt_tokens":4,"total_tokens":3264,'
        b'"completion_tokens":3260}',
        DetailedUsage(4, 3260, audio_ms=203_000),
    ),
    "gemini, thoughts in the total only": (
        b'{"prompt_tokens":10,"completion_tokens":20,"total_tokens":95}',
        Usage(10, 85, reasoning=65),
    ),
    "xai, reasoning beside the completion": (
        b'{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,'
        b'"prompt_tokens_details":{"text_tokens":32,"audio_tokens":0,"image_tokens":0,'
        b'"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":94,'
        b'"audio_tokens":0}}',
        Usage(32, 103, 6, reasoning=94),
    ),
    "perplexity, deep research": (
        b'{"prompt_tokens":7,"completion_tokens":500,"total_tokens":507,"citation_tokens":20,'
        b'"num_search_queries":18,"reasoning_tokens":7000}',
        DetailedUsage(7, 7500, reasoning=7000, searches=18),
    ),
    "moonshot": (
        b'{"prompt_tokens":19,"completion_tokens":21,"total_tokens":40,"cached_tokens":10}',
        Usage(19, 21, 10),
    ),
    "openrouter, cache written": (
        b'{"prompt_tokens":100,"completion_tokens":2,"total_tokens":102,"cost":0.0001,'
        b'"prompt_tokens_details":{"cached_tokens":10,"cache_write_tokens":80}}',
        Usage(100, 2, 10, 80),
    ),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_read(name: str) -> None:
    text, expected = DIALECTS[name]
    assert read_usage(text) == expected
    assert type(read_usage(text)) is type(expected)


CREDIBLE = {
    b'{"prompt_tokens":"7","completion_tokens":3,"total_tokens":10}': Usage(0, 10, reasoning=7),
    b'{"prompt_tokens":7.0,"completion_tokens":3}': Usage(7, 3),
    b'{"prompt_tokens":-7,"completion_tokens":3}': Usage(0, 3),
    b'{"prompt_tokens":true,"completion_tokens":3}': Usage(0, 3),
    b'{"prompt_tokens":%d,"completion_tokens":3}' % (MOST + 1): Usage(0, 3),
    b'{"prompt_tokens":1e400,"completion_tokens":3}': None,
    b'{"prompt_tokens":7,"prompt_tokens_details":[1]}': Usage(7),
    b'{"prompt_tokens":7,"prompt_tokens_details":{"cached_tokens":"x"}}': Usage(7),
    b'{"prompt_tokens":7,"prompt_tokens_details":{"cached_tokens":70}}': Usage(7, 0, 7),
    b'{"completion_tokens":5,"completion_tokens_details":{"audio_tokens":9}}': Usage(
        0, 5, audio_out=5
    ),
    b'{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}': Usage(),
    b'{"input_tokens":0,"output_tokens":0}': Usage(),
    b'{"prompt_tokens":7,"prompt_tokens":8}': Usage(8),
    b"{}": None,
    b"[]": None,
    b"7": None,
    b"{": None,
    b"\xff": None,
    b"[" * 100_000: None,
    b'{"a":' * 100_000: None,
    b'{"seconds":"9"}': None,
    b'{"seconds":-1}': None,
    b'{"prompt_tokens":%s}' % (b"9" * 5000): None,
}


@pytest.mark.parametrize("text", CREDIBLE, ids=lambda text: text[:60].decode("latin-1"))
def test_only_what_is_credible_is_taken(text: bytes) -> None:
    assert read_usage(text) == CREDIBLE[text]


_NAMES = st.sampled_from((
    "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens",
    "prompt_tokens_details", "completion_tokens_details", "input_token_details", "cached_tokens",
    "reasoning_tokens", "audio_tokens", "image_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens", "cache_creation", "ephemeral_1h_input_tokens", "seconds",
    "billed_units", "search_units", "prompt_audio_seconds", "num_search_queries",
))  # fmt: skip
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.dictionaries(_NAMES, inner) | st.lists(inner, max_size=2),
    max_leaves=12,
)


@given(st.dictionaries(_NAMES, _VALUES))
def test_whatever_is_written_the_parts_fit_the_whole(written: dict[str, object]) -> None:
    usage = read_usage(dumps(written))
    if usage is None:
        return
    assert min(getattr(usage, name) for name in usage.__struct_fields__) >= 0
    assert usage.cached_read + usage.cache_write <= usage.input
    assert usage.reasoning + usage.audio_out <= usage.output
    assert usage.audio_in <= usage.input
    if isinstance(usage, DetailedUsage):
        assert usage.audio_in + usage.image_in <= usage.input
        assert usage.cache_write_1h <= usage.cache_write


@given(st.binary(max_size=60))
def test_no_bytes_make_it_raise(text: bytes) -> None:
    found = read_usage(text)
    assert found is None or isinstance(found, Usage)


@pytest.mark.parametrize(
    ("bytes_in", "bytes_out", "expected"),
    [(0, 0, Usage()), (1, 4, Usage(1, 1)), (5, 9, Usage(2, 3)), (-1, 8, Usage(0, 2))],
)
def test_the_estimate_is_four_bytes_a_token_rounded_up(
    bytes_in: int, bytes_out: int, expected: Usage
) -> None:
    assert estimate(bytes_in, bytes_out) == expected


def test_a_record_with_details_is_read_as_the_contract_says() -> None:
    usage = DetailedUsage(50, 50, image_in=40, audio_ms=3)
    attempt = AttemptRecord("openai", "gpt-image-1", 0, 1, usage=usage)
    record = UsageRecord("req_1", 0, "w", "c", "images", "completed", 200, 1, attempts=(attempt,))
    line = line_of(record)
    assert b'"image_in":40' in line
    assert record_of(line).attempts[0].usage == Usage(50, 50)
