"""Settings of rules: which requests each is for, and what it decides.

The first that holds decides, by priority and then by the order of the file. Every condition that
is written must hold; of a list, one entry is enough.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, StrictStr, model_validator

from proxy.config.parameters import Changes
from proxy.config.ranges import Priority, Tokens
from proxy.config.routing import ModelName, ModelNames
from proxy.config.section import SettingsSection
from proxy.config.values import Label, Pattern, distinct, some

_LANGUAGE = re.compile(r"[a-z]{2}")
_LONGEST_EXPRESSION = 4096


def language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise ValueError("must be a code of two letters (ISO 639-1) such as en or de")
    return value


def expression(value: str) -> str:
    if not value.strip():
        raise ValueError("must be an expression, or be left out")
    if len(value) > _LONGEST_EXPRESSION:
        raise ValueError(f"must have {_LONGEST_EXPRESSION} characters at most")
    return value


Some = (AfterValidator(some), AfterValidator(distinct))
Words = Annotated[tuple[Label, ...], *Some]
Patterns = Annotated[tuple[Pattern, ...], *Some]
Languages = Annotated[tuple[Annotated[StrictStr, AfterValidator(language)], ...], *Some]
Modalities = Annotated[tuple[Literal["text", "image", "audio"], ...], *Some]
Expression = Annotated[StrictStr, AfterValidator(expression)]


class ContentTokens(SettingsSection):
    """How long the content is, estimated from its bytes."""

    min: Tokens = 0
    """At least so many tokens."""
    max: Tokens | None = None
    """At most so many."""

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if self.max is not None and self.min > self.max:
            raise ValueError("can never hold: its `min` is more than its `max`")
        return self


class When(SettingsSection):
    """The conditions of a rule; what is left out is not asked."""

    model: Patterns | None = None
    """The name the client asked for."""
    task: Words | None = None
    """`x-llm-proxy-task`, or `metadata.task_type` of the body."""
    user_tier: Words | None = None
    """The `tier` of the caller."""
    agent: Words | None = None
    tags: Words | None = None
    team: Words | None = None
    content_tokens: ContentTokens | None = None
    contains_code: StrictBool | None = None
    contains_math: StrictBool | None = None
    modality: Modalities | None = None
    """What the content consists of; `text`: of nothing else."""
    tools: StrictBool | None = None
    """Whether the request brings tools."""
    language: Languages | None = None
    """Of the text, where it can be told."""
    expression: Expression | None = None
    """In CEL; looked at last."""

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        tokens = self.content_tokens
        if tokens is not None and tokens.max == 0:
            for each in ("contains_code", "contains_math", "language"):
                if getattr(self, each):
                    raise ValueError(f"can never hold: `{each}` needs text, of 0 tokens at most")
        return self


class Rule(SettingsSection):
    """One rule."""

    name: Label
    """Shown in the answer, in records and by `explain`. Unique."""
    priority: Priority = 0
    """The higher, the earlier it is looked at."""
    when: When = When()
    use: ModelName | None = None
    """The model that answers; None: the one that was asked for."""
    fallback: ModelNames | None = None
    """In place of the model's own `fallback.models`; empty: none."""
    parameters: Changes = Field(default_factory=Changes)
    """On top of the model's own."""
    residency: Literal["local"] | None = None
    """local: only providers with `residency: local` are asked, whatever fails."""
    active: StrictBool = True
    """false: as if it were not there."""

    @model_validator(mode="after")
    def _goes_on(self) -> Self:
        if self.use is not None and self.use in (self.fallback or ()):
            raise ValueError("has a `fallback` to what it uses already")
        return self
