"""Settings of parameters: what of a request's body is filled in, held down or set.

Values are JSON as a vendor takes it. What says who is asked, for what, and in which form the
answer comes is no parameter: it is refused here, because a rule that changed it would answer
another request than the caller's.
"""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator

from proxy.config.scalars import Blank, Number
from proxy.config.section import SettingsSection
from proxy.wire.asked import CAPS, MOST_TOKENS

_NOT_PARAMETERS = {
    "model": "`targets` and rules say which model is asked",
    "messages": "it is what the caller says",
    "input": "it is what the caller says",
    "prompt": "it is what the caller says",
    "stream": "the caller chose the form of the answer",
    "stream_options": "the caller chose the form of the answer",
}
_COMMON = (
    "temperature", "top_p", "top_k", "min_p", "n", "stop", "seed", "max_tokens",
    "max_completion_tokens", "max_output_tokens", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format", "tools",
    "tool_choice", "parallel_tool_calls", "reasoning_effort", "verbosity", "service_tier", "store",
    "metadata", "user", "prediction", "modalities", "truncation", "dimensions", "quality",
)  # fmt: skip
_SURELY_MEANT = 0.9  # Of a vendor's own parameter none is so near: `top_k` to `top_p` is 0.8.
_CAPS = frozenset(cap for names in CAPS.values() for cap in names)
_LONGEST = 64
_INTEGERS = range(-(2**63), 2**64)  # What JSON libraries agree on.


def name(value: str) -> str:
    """The name of a parameter."""
    if why := _NOT_PARAMETERS.get(value):
        raise ValueError(f"is no parameter: {why}")
    if not value.isprintable() or value != value.strip() or len(value) > _LONGEST:
        raise ValueError(
            f"must be a name: printable, no space around it, {_LONGEST} characters at most"
        )
    near = () if value in _COMMON else get_close_matches(value, _COMMON, 1, _SURELY_MEANT)
    if near:
        raise ValueError(f"is no parameter that is known; did you mean `{near[0]}`?")
    return value


def json_value(value: object) -> Any:
    """A value as JSON has it: plain types only, every number one that can be sent."""
    match value:
        case None | bool():
            return value
        case str():
            return _text(value)
        case int() if value in _INTEGERS:
            return value
        case Number() | float() if math.isfinite(value):
            return float(value)
        case list() | tuple():
            return [json_value(each) for each in value]
        case Mapping():
            return {_text(str(key)): json_value(each) for key, each in value.items()}
        case _:
            raise ValueError("must be a value that JSON has: its numbers are finite, of 64 bits")


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("must be text that UTF-8 has") from None
    return str(value)


def number(value: object) -> float | int:
    """What a parameter may be at most."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number: the most that is let through")  # noqa: TRY004
    found: float | int = json_value(value)
    return found


def _as_it_is(value: object) -> object:
    return value


Parameter = Annotated[str, AfterValidator(name)]
Value = Annotated[Any, PlainValidator(json_value), PlainSerializer(_as_it_is)]
Most = Annotated[float | int, PlainValidator(number), PlainSerializer(_as_it_is)]


class Changes(SettingsSection):
    """What is done to the parameters of a request."""

    default: Mapping[Parameter, Value] = Field(default_factory=dict)
    """Set where the request does not say."""
    limit: Mapping[Parameter, Most] = Field(default_factory=dict)
    """The most of each number; more becomes this."""
    force: Mapping[Parameter, Value] = Field(default_factory=dict)
    """Set whatever the request says."""

    @classmethod
    def derive(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        return {key: _written(value) for key, value in data.items()}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        default, limit, force = map(_one_cap, (self.default, self.limit, self.force))
        for other, values in (("default", default), ("limit", limit)):
            for each in force.keys() & values.keys():
                raise ValueError(f"has `{each}` in `force`, which wins, and in `{other}`")
        for each in default.keys() & limit.keys():
            usual = default[each]
            is_number = isinstance(usual, int | float) and not isinstance(usual, bool)
            if not is_number or usual > limit[each]:
                raise ValueError(f"has a default of `{each}` beyond its own `limit`")
        return self


class Parameters(Changes):
    """The same for a model."""

    unsupported: Literal["drop", "refuse"] = "drop"
    """What happens to a parameter that a target does not take."""


def _one_cap(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, in which the cap on output has one name, whichever it was given by."""
    said = [each for each in values if each in _CAPS]
    if len(said) > 1:
        raise ValueError(f"has `{said[0]}` and `{said[1]}`, which are one; keep one of them")
    for each in said:
        cap = values[each]
        if not isinstance(cap, int) or isinstance(cap, bool) or not 1 <= cap <= MOST_TOKENS:
            raise ValueError(f"must have a whole number from 1 to {MOST_TOKENS} as `{each}`")
    return {"max_tokens" if each in _CAPS else each: value for each, value in values.items()}


def _written(value: object) -> object:
    """Without what is null or left empty by its variables, which counts as not written."""
    if not isinstance(value, Mapping):
        return value
    return {k: v for k, v in value.items() if v is not None and not isinstance(v, Blank)}
