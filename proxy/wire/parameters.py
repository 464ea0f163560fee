"""What the operator sets on requests of a model: defaults, limits, forced values, and what happens
to parameters that a target cannot take.

Values are JSON texts, written once at load and put into the body byte for byte; a request that
needs no change keeps its bytes. The cap on output has three names in OpenAI's API; here it is one
parameter, called by the name that the operation and the model know. A limit on it holds for
requests that name none, too: no cap means as much as the model can.

A parameter that another operation has and this one has not is left out (`temperature` for
embeddings); a name that OpenAI does not know at all is a vendor's own and is set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from proxy.base.errors import BadRequest
from proxy.base.jsonio import dumps
from proxy.wire.asked import CAPS
from proxy.wire.body import Body
from proxy.wire.parameters_table import (
    ANY,
    HARMLESS,
    OF_TOOLS,
    Lack,
    Taker,
    is_neutral,
    lacks,
    reasons,
    tools_are_asked,
    unwanted,
)

CAP = "max_tokens"
"""The cap on output, as it is called in `Parameters` whatever an operation calls it."""

PROTECTED = frozenset(("model", "messages", "input", "prompt", "stream", "stream_options"))
"""What a request is, rather than how it is answered: never a parameter."""

WEIGHS = frozenset(
    (
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of"),
        *("service_tier", "tools", "web_search_options", "prediction", "modalities", "audio"),
        *("size", "quality", "max_tool_calls", "search_parameters"),
    )
)
"""A request in which one of these was changed may cost more or less than was thought of it."""

_NULL = b"null"
_CAPS = frozenset(name for names in CAPS.values() for name in names)
_NUMBER = msgspec.json.Decoder(int | float)
_TUNED = frozenset(
    ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop", "logit_bias")
)
_OF: Mapping[str, frozenset[str]] = {
    "chat": _TUNED
    | {
        *("audio", "function_call", "functions", "logprobs", "metadata", "modalities"),
        *("moderation", "n", "parallel_tool_calls", "prediction", "prompt_cache_key"),
        *("prompt_cache_options", "prompt_cache_retention", "reasoning_effort"),
        *("response_format", "safety_identifier", "service_tier", "store", "tool_choice"),
        *("tools", "top_logprobs", "user", "verbosity", "web_search_options"),
    },
    "completions": _TUNED | {"best_of", "echo", "logprobs", "n", "suffix", "user"},
    "responses": frozenset(
        (
            *("temperature", "top_p", "context_management", "include", "max_tool_calls"),
            *("metadata", "moderation", "parallel_tool_calls", "prompt_cache_key"),
            *("prompt_cache_options", "prompt_cache_retention", "reasoning"),
            *("safety_identifier", "service_tier", "store", "text", "tool_choice", "tools"),
            *("top_logprobs", "truncation", "user"),
        )
    ),
    "embeddings": frozenset(("dimensions", "encoding_format", "user")),
    "images": frozenset(
        (
            *("moderation", "n", "output_compression", "output_format", "partial_images"),
            *("quality", "response_format", "size", "style", "user"),
        )
    ),
    "speech": frozenset(("response_format", "speed", "stream_format", "voice")),
}
_KNOWN = frozenset(name for names in _OF.values() for name in names)
Touched = dict[str, bytes | None]  # What stood there before.
_NOTHING: Mapping[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of a model, a rule or an agent; made by `of`."""

    default: Mapping[str, bytes] = field(default_factory=dict)  # Where the caller says nothing.
    limit: Mapping[str, bytes] = field(default_factory=dict)  # Numbers: at most this.
    force: Mapping[str, bytes] = field(default_factory=dict)  # Whatever the caller says.
    refuse_unsupported: bool = False  # Instead of dropping what is harmless.

    @classmethod
    def of(
        cls,
        default: Mapping[str, Any] = _NOTHING,
        limit: Mapping[str, Any] = _NOTHING,
        force: Mapping[str, Any] = _NOTHING,
        *,
        refuse_unsupported: bool = False,
    ) -> "Parameters":
        """From plain values. Raises ValueError with the name of one that cannot be."""
        for name, value in limit.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"`{name}`: a limit is a number")  # noqa: TRY004
        return cls(_encoded(default), _encoded(limit), _encoded(force), refuse_unsupported)

    def under(self, base: "Parameters") -> "Parameters":
        """Both: these where both say something, and the lower of two limits."""
        limit = {**base.limit, **self.limit}
        for name in base.limit.keys() & self.limit.keys():
            limit[name] = min(base.limit[name], self.limit[name], key=_NUMBER.decode)
        return Parameters(
            {**base.default, **self.default},
            limit,
            {**base.force, **self.force},
            base.refuse_unsupported or self.refuse_unsupported,
        )


def unfit(body: Body, params: Parameters, operation: str, taker: Taker) -> Lack | None:
    """Why a target cannot have this request without a change that the caller would miss (or any,
    with `refuse_unsupported`); None: it can. Look at the request before `apply` does."""
    for lack in lacks(body, operation, taker):
        if params.refuse_unsupported or not lack.harmless:
            return lack
    return None


def apply(body: Body, params: Parameters, operation: str, taker: Taker = ANY) -> list[str]:
    """Make the request what the operator and the target want. The names of what was changed.

    Raises BadRequest for what the target cannot take where that is to be refused, and for a value
    that has a limit and is no number."""
    touched: Touched = {}
    if params.refuse_unsupported and (lack := unfit(body, params, operation, taker)) is not None:
        raise BadRequest(lack.why, code="unsupported_parameter", param=lack.name)
    for name, value in params.default.items():
        if not _is_said(body, name, operation):
            _put(body, name, value, operation, touched)
    for name, value in params.limit.items():
        _limit(body, name, value, operation, touched)
    for name, value in params.force.items():
        _put(body, name, value, operation, touched)
    _adapt(body, operation, taker, touched)
    return [name for name, was in touched.items() if body.value(name) != was]


def _encoded(values: Mapping[str, Any]) -> Mapping[str, bytes]:
    for name in values:
        if name in PROTECTED:
            raise ValueError(f"`{name}` is no parameter")
    caps = [value for name, value in values.items() if name in _CAPS and value is not None]
    texts = {name: dumps(value) for name, value in values.items() if name not in _CAPS}
    if caps:
        texts[CAP] = dumps(min(caps))
    return texts


def _is_said(body: Body, name: str, operation: str) -> bool:
    names = CAPS.get(operation, ()) if name == CAP else (name,)
    return any(body.value(each) not in (None, _NULL) for each in names)


def _put(body: Body, name: str, value: bytes, operation: str, touched: Touched) -> None:
    if name == CAP:
        _put_cap(body, value, operation, touched)
    elif name in _OF.get(operation, ()) or name not in _KNOWN:
        _set(body, name, value, touched)


def _put_cap(body: Body, value: bytes, operation: str, touched: Touched) -> None:
    names = CAPS.get(operation)
    if names is None:
        return  # It has no output to cap.
    said = [name for name in names if _is_said(body, name, operation)]
    wanted = said[0] if said else names[-1]
    _set(body, wanted, value, touched)
    for other in said[1:]:
        _drop(body, other, touched)


def _limit(body: Body, name: str, bound: bytes, operation: str, touched: Touched) -> None:
    if name != CAP:
        if _is_over(body, name, bound):
            _set(body, name, bound, touched)
        return
    if not _is_said(body, CAP, operation):
        _put_cap(body, bound, operation, touched)
    for each in CAPS.get(operation, ()):
        if _is_over(body, each, bound):
            _set(body, each, bound, touched)


def _is_over(body: Body, name: str, bound: bytes) -> bool:
    value = body.value(name)
    if value is None or value == _NULL:
        return False
    if value[:1] not in b"-0123456789":
        raise BadRequest(f"`{name}` must be a number", code="invalid_type", param=name)
    try:
        return bool(_NUMBER.decode(value) > _NUMBER.decode(bound))
    except msgspec.MsgspecError:  # Larger than any float can be.
        return value[:1] != b"-"


def _adapt(body: Body, operation: str, taker: Taker, touched: Touched) -> None:
    """Leave out what the target refuses and nobody misses, and call the cap by its name there."""
    for name in unwanted(body, operation, taker):
        if name in HARMLESS or is_neutral(body, name):
            _drop(body, name, touched)
    declared = taker.capabilities
    if declared is not None and "tools" not in declared and not tools_are_asked(body):
        for name in OF_TOOLS:
            _drop(body, name, touched)
    if operation == "chat":
        _rename_cap(body, taker, touched)


def _rename_cap(body: Body, taker: Taker, touched: Touched) -> None:
    if reasons(taker.model) or "max_tokens" in taker.refused:
        old, new = "max_tokens", "max_completion_tokens"
    elif "max_completion_tokens" in taker.refused:
        old, new = "max_completion_tokens", "max_tokens"
    else:
        return
    value = body.value(old)
    if value is None:
        return
    if value != _NULL and (body.value(new) in (None, _NULL) or _is_over(body, new, value)):
        _set(body, new, value, touched)
    _drop(body, old, touched)


def _set(body: Body, name: str, value: bytes, touched: Touched) -> None:
    if body.value(name) != value:
        touched.setdefault(name, body.value(name))
        body.set(name, value)


def _drop(body: Body, name: str, touched: Touched) -> None:
    if name in body:
        touched.setdefault(name, body.value(name))
        body.remove(name)
