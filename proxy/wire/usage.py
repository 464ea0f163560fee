"""What vendors say was used, in every dialect, as the `Usage` of the record.

The JSON text of a `usage` object is decoded once into a struct with all known names; wrong types,
negative and absurd numbers send it down a slower path that keeps what is credible. Nothing here
raises. In the result parts never exceed the whole: what a vendor counts apart (Anthropic's cached
tokens, xAI's and Gemini's reasoning) is added to the whole, as OpenAI counts.
"""

from typing import Annotated, Any

import msgspec

from proxy.wire.record import Usage

MOST = 10**9
"""No single request uses more tokens: a larger number is an error of whoever wrote it."""

_BYTES_PER_TOKEN = 4
_MS = 1000

_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)] | None


class DetailedUsage(Usage, frozen=True, omit_defaults=True, gc=False):
    """What only some operations report. Image tokens are part of `input` and `output`;
    `cache_write_1h` of `cache_write`."""

    image_in: int = 0
    image_out: int = 0
    cache_write_1h: int = 0
    audio_ms: int = 0  # Of audio that is billed by its length.
    searches: int = 0
    units: int = 0  # Billed calls: Cohere's search units.
    unmeasured: int = 0  # 1: something was used, and nobody said how much.


class _Details(msgspec.Struct, gc=False):
    cached_tokens: _Count = None
    audio_tokens: _Count = None
    image_tokens: _Count = None
    reasoning_tokens: _Count = None
    thinking_tokens: _Count = None
    cache_write_tokens: _Count = None
    cache_creation_tokens: _Count = None


class _Written(msgspec.Struct, gc=False):
    ephemeral_1h_input_tokens: _Count = None


class _Tools(msgspec.Struct, gc=False):
    web_search_requests: _Count = None


class _Billed(msgspec.Struct, gc=False):
    input_tokens: _Count = None
    output_tokens: _Count = None
    search_units: _Count = None
    image_tokens: _Count = None  # Beside those of text.
    images: _Count = None


class _Wire(msgspec.Struct):
    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    total_tokens: _Count = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens: _Count = None
    output_tokens: _Count = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None
    input_token_details: _Details | None = None
    output_token_details: _Details | None = None
    prompt_cache_hit_tokens: _Count = None
    cached_tokens: _Count = None
    cache_read_input_tokens: _Count = None
    cache_creation_input_tokens: _Count = None
    cache_creation: _Written | None = None
    reasoning_tokens: _Count = None
    num_search_queries: _Count = None
    search_units: _Count = None
    billed_units: _Billed | None = None
    server_tool_use: _Tools | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0, le=MOST)] | None = None
    prompt_audio_seconds: Any = None


_DECODER = msgspec.json.Decoder(_Wire)
_NESTED = (
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "input_token_details",
    "output_token_details",
    "cache_creation",
    "billed_units",
    "server_tool_use",
)
_NO_DETAILS = _Details()


def estimate(bytes_in_text: int, bytes_out_text: int) -> Usage:
    """The declared estimate where no count ever came: a token for every four bytes, rounded up."""
    return Usage(
        -(-max(0, bytes_in_text) // _BYTES_PER_TOKEN),
        -(-max(0, bytes_out_text) // _BYTES_PER_TOKEN),
    )


def read_usage(text: bytes) -> Usage | None:
    """The usage in the JSON text of a `usage` object, or None when it says nothing credible."""
    try:
        wire = _DECODER.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        lenient = _lenient(text)
        if lenient is None:
            return None
        wire = lenient
    tokens_in = wire.prompt_tokens or wire.input_tokens
    tokens_out = wire.completion_tokens or wire.output_tokens
    if tokens_in is None and tokens_out is None:
        return _uncommon(wire)
    details_in = wire.prompt_tokens_details or wire.input_tokens_details or wire.input_token_details
    details_out = (
        wire.completion_tokens_details or wire.output_tokens_details or wire.output_token_details
    )
    usage = _usage(
        wire, tokens_in or 0, tokens_out or 0, details_in or _NO_DETAILS, details_out or _NO_DETAILS
    )
    return usage if _is_common(wire, details_in, details_out) else _detailed(wire, usage)


def _usage(
    wire: _Wire, tokens_in: int, tokens_out: int, given: _Details, made: _Details, /
) -> Usage:
    cached = given.cached_tokens or wire.prompt_cache_hit_tokens or wire.cached_tokens or 0
    written = given.cache_write_tokens or given.cache_creation_tokens or 0
    if wire.cache_read_input_tokens or wire.cache_creation_input_tokens:
        cached = wire.cache_read_input_tokens or cached
        written = wire.cache_creation_input_tokens or written
        # Beside `input_tokens` Anthropic counts them apart; beside `prompt_tokens` they are
        # included, as far as they fit.
        if not wire.prompt_tokens or cached + written > tokens_in:
            tokens_in += cached + written
    tokens_out, reasoning = _output(wire, tokens_in, tokens_out, made)
    audio_in, audio_out = given.audio_tokens or 0, made.audio_tokens or 0
    if cached + written > tokens_in or audio_in > tokens_in or reasoning + audio_out > tokens_out:
        cached = min(cached, tokens_in)
        written = min(written, tokens_in - cached)
        audio_in = min(audio_in, tokens_in)
        audio_out = min(audio_out, tokens_out)
        reasoning = min(reasoning, tokens_out - audio_out)
    return Usage(tokens_in, tokens_out, cached, written, reasoning, audio_in, audio_out)


def _output(wire: _Wire, tokens_in: int, tokens_out: int, made: _Details, /) -> tuple[int, int]:
    """Tokens made, and of these for reasoning, which some vendors show only in the total."""
    reasoning = made.reasoning_tokens or made.thinking_tokens or wire.reasoning_tokens or 0
    total = wire.total_tokens or 0
    if total > tokens_in + tokens_out:
        hidden = total - tokens_in - tokens_out
        return tokens_out + hidden, max(reasoning, hidden) if tokens_out else reasoning
    if reasoning > tokens_out:
        tokens_out += reasoning
    return tokens_out, reasoning


def _is_common(wire: _Wire, given: _Details | None, made: _Details | None) -> bool:
    return not (
        (given is not None and given.image_tokens)
        or (made is not None and made.image_tokens)
        or wire.cache_creation
        or wire.seconds
        or wire.prompt_audio_seconds
        or wire.num_search_queries
        or wire.server_tool_use
        or wire.search_units
        or wire.billed_units
    )


def _uncommon(wire: _Wire) -> Usage | None:
    """Without a count of tokens in or out: a total, billed units, or the length of audio."""
    billed = wire.billed_units or _Billed()
    if any(n is not None for n in (billed.input_tokens, billed.output_tokens, billed.image_tokens)):
        usage = Usage(
            (billed.input_tokens or 0) + (billed.image_tokens or 0), billed.output_tokens or 0
        )
    elif wire.total_tokens is not None:
        usage = Usage(wire.total_tokens)
    elif any(amount is not None for amount in _reported(wire, billed)):
        usage = Usage()
    else:
        return None
    return _detailed(wire, usage)


def _reported(wire: _Wire, billed: _Billed) -> tuple[float | None, ...]:
    tokens = wire.prompt_tokens, wire.completion_tokens, wire.input_tokens, wire.output_tokens
    return *tokens, wire.seconds, billed.search_units, wire.search_units, billed.images


def _detailed(wire: _Wire, usage: Usage) -> Usage:
    given = wire.prompt_tokens_details or wire.input_tokens_details or wire.input_token_details
    made = wire.completion_tokens_details or wire.output_tokens_details or wire.output_token_details
    billed = wire.billed_units or _Billed()
    tools = wire.server_tool_use or _Tools()
    audio = wire.seconds or _seconds(wire.prompt_audio_seconds)
    written = wire.cache_creation.ephemeral_1h_input_tokens if wire.cache_creation else 0
    image_in = (given.image_tokens if given else billed.image_tokens) or 0
    extra = {
        "image_in": min(image_in, usage.input - usage.audio_in),
        "image_out": min((made.image_tokens or 0) if made else 0, usage.output - usage.audio_out),
        "cache_write_1h": min(written or 0, usage.cache_write),
        "audio_ms": round(audio * _MS),
        "searches": wire.num_search_queries or tools.web_search_requests or 0,
        "units": billed.search_units or wire.search_units or 0,
        # Pictures that were looked at and no tokens for them: who would know what they cost?
        "unmeasured": int(bool(billed.images) and billed.image_tokens is None),
    }
    if not any(extra.values()):
        return usage
    return DetailedUsage(**{name: getattr(usage, name) for name in _FIELDS}, **extra)


_FIELDS = Usage.__struct_fields__


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value <= MOST else 0.0


def _lenient(text: bytes) -> _Wire | None:
    """As the decoder would, had all that is not credible been left out."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if not isinstance(found, dict):
        return None
    kept: dict[str, Any] = _counts(found)
    for name in _NESTED:
        inner = found.get(name)
        if isinstance(inner, dict):
            kept[name] = _counts(inner)
    kept["seconds"] = _seconds(found.get("seconds")) or None
    kept["prompt_audio_seconds"] = found.get("prompt_audio_seconds")
    return msgspec.convert(kept, _Wire)


def _counts(found: dict[str, Any]) -> dict[str, int]:
    counts = {}
    for name, value in found.items():
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        number = isinstance(whole, int) and not isinstance(whole, bool)
        if number and 0 <= whole <= MOST and name not in _NESTED:
            counts[name] = whole
    return counts


def with_pictures(usage: Usage, number: int) -> Usage:
    """The usage of an answer that holds so many pictures and maybe no details: what was made is
    these, so its tokens are theirs."""
    fields = {name: getattr(usage, name) for name in usage.__struct_fields__} | {"images": number}
    if usage.output and not fields.get("image_out"):
        fields |= {"image_out": usage.output, "reasoning": 0, "audio_out": 0}
    return (DetailedUsage if "image_out" in fields else Usage)(**fields)
