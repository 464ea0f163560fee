"""Which parameters a target cannot take, as its vendor documents it or its configuration declares.

Three sources: the capabilities that are declared for a target, the family its model's name shows,
and names that its vendor's row lists. A parameter that only tunes or labels may be dropped; one
that changes what the answer is may not: then the target does not fit the request.

Families are OpenAI's, from its API description (`max_tokens`: "not compatible with o-series
models"; `stop`: "Not supported with latest reasoning models o3 and o4-mini"; `reasoning`: "gpt-5
and o-series models only"), its guide to GPT-5.2 (`temperature`, `top_p`, `logprobs` with effort
`none` only) and Azure's page on reasoning models (penalties, `logit_bias`, parallel tool calls).
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec

from proxy.wire.body import Body

HARMLESS = frozenset(
    (
        *("temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "seed"),
        *("logprobs", "top_logprobs", "user", "safety_identifier", "metadata", "store"),
        *("service_tier", "reasoning_effort", "reasoning", "verbosity", "prediction"),
        *("tool_choice", "function_call", "parallel_tool_calls", "max_tool_calls"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
    )
)
"""What an answer is worth having without. All others change what is asked for."""

_SAMPLING = frozenset(("temperature", "top_p", "logprobs", "top_logprobs"))
_NEVER_REASONING = frozenset(("presence_penalty", "frequency_penalty", "logit_bias"))
_ONLY_REASONING = frozenset(("reasoning_effort", "reasoning"))
_PARALLEL = frozenset(("parallel_tool_calls",))
_STOP = frozenset(("stop",))
_NONE: frozenset[str] = frozenset()

_REASONS = re.compile(r"(?:o[134](?:-|$)|gpt-5(?!-chat)(?:[.-]|$))")
_MAY_NOT_REASON = re.compile(r"gpt-5\.[1-9]\d*(?!.*-(?:chat|codex|pro))")
_O_SERIES = re.compile(r"o[134](?:-|$)")
_WITHOUT_STOP = re.compile(r"(?:o3|o4-mini)(?:-\d|$)")
_NEVER_REASONS = re.compile(r"(?:gpt-4|gpt-3\.5|chatgpt-4o|gpt-5-chat)")

OF_TOOLS = ("tools", "functions", "tool_choice", "function_call", "parallel_tool_calls")
"""What means nothing where no tool is offered."""

_RENAMED = frozenset(("max_tokens", "max_completion_tokens"))  # One for the other, when need be.
_SHAPES: Mapping[str, str] = {"chat": "response_format", "responses": "text"}
_JSON_SCHEMA = re.compile(rb'"type"\s*:\s*"json_schema"')
_AUDIO = re.compile(rb'"audio"')

_NUMBER = msgspec.json.Decoder(int | float)
_NEUTRAL_NUMBERS: Mapping[str, float] = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "top_logprobs": 0,
}
_NEUTRAL_TEXTS = frozenset((b"null", b"[]", b"{}", b"false", b'""', b'"none"'))
_FLAGS_ON = frozenset(("parallel_tool_calls", "store"))  # Here `false` says something.


class Lack(NamedTuple):
    """A parameter of the request that the target cannot take."""

    name: str
    why: str  # As a caller or an operator reads it.
    harmless: bool


class Taker(NamedTuple):
    """A target as far as it matters for parameters."""

    model: str = ""
    capabilities: frozenset[str] | None = None  # None: not declared, taken as able to do all.
    refused: frozenset[str] = frozenset()  # Names that the vendor's row lists.


ANY = Taker()


class _Family(NamedTuple):
    """What a model's name tells."""

    reasons: bool
    refused: frozenset[str]
    refused_reasoning: frozenset[str]  # As long as it is not told to do without reasoning.


def lacks(body: Body, operation: str, taker: Taker) -> Iterator[Lack]:
    """What stands in the request, says something, and cannot be taken."""
    if taker.capabilities is not None:
        yield from _undeclared(body, operation, taker.capabilities)
    for name in sorted(unwanted(body, operation, taker) - _RENAMED):
        if not is_neutral(body, name):
            yield Lack(name, f"`{taker.model}` does not take `{name}`", name in HARMLESS)


def unwanted(body: Body, operation: str, taker: Taker) -> frozenset[str]:
    """The names that the target's vendor refuses, whatever their values are."""
    family = _family(taker.model)
    refused = taker.refused | family.refused if family.refused else taker.refused
    if family.refused_reasoning and _effort(body, operation) not in (None, "none"):
        refused |= family.refused_reasoning
    return refused


def reasons(model: str) -> bool:
    """Whether OpenAI calls it a reasoning model: it takes `max_completion_tokens` alone."""
    return _family(model).reasons


def is_neutral(body: Body, name: str) -> bool:
    """Whether the member says only what holds without it."""
    value = body.value(name)
    if value is None or value == b"null":
        return True
    neutral = _NEUTRAL_NUMBERS.get(name)
    if neutral is not None:
        try:
            return bool(_NUMBER.decode(value) == neutral)
        except msgspec.MsgspecError:
            return False  # No number, or one that no float can hold.
    if name in _FLAGS_ON:
        return False
    return value in _NEUTRAL_TEXTS


def tools_are_asked(body: Body) -> bool:
    """Whether the request offers any tool."""
    return not (is_neutral(body, "tools") and is_neutral(body, "functions"))


def _undeclared(body: Body, operation: str, declared: frozenset[str]) -> Iterator[Lack]:
    if "tools" not in declared and tools_are_asked(body):
        yield Lack(
            "functions" if is_neutral(body, "tools") else "tools", "it has no tools", harmless=False
        )
    shape = _SHAPES.get(operation)
    if shape is not None and "json_schema" not in declared:
        value = body.value(shape)
        if value is not None and _JSON_SCHEMA.search(value) is not None:
            yield Lack(shape, "it keeps to no JSON schema", harmless=False)
    if "audio" not in declared:
        modalities = body.value("modalities")
        if modalities is not None and _AUDIO.search(modalities) is not None:
            yield Lack("modalities", "it does not speak", harmless=False)


@lru_cache(maxsize=1024)
def _family(model: str) -> _Family:
    name = model.rpartition("/")[2].removeprefix("ft:")
    if _REASONS.match(name) is None:
        never = _NEVER_REASONS.match(name) is not None
        return _Family(False, _ONLY_REASONING if never else _NONE, _NONE)
    refused = _NEVER_REASONING
    if _O_SERIES.match(name) is not None:
        refused |= _PARALLEL
    if _WITHOUT_STOP.match(name) is not None:
        refused |= _STOP
    if _MAY_NOT_REASON.match(name) is not None:
        return _Family(True, refused, _SAMPLING)
    return _Family(True, refused | _SAMPLING, _NONE)


def _effort(body: Body, operation: str) -> str | None:
    if operation != "responses":
        return body.text("reasoning_effort")
    found = (body.object("reasoning") or {}).get("effort")
    return found if isinstance(found, str) else None
