"""Settings of agents: what each may spend, and which model answers it."""

from typing import Literal, Self

from pydantic import Field, model_validator

from proxy.config.limits import Walls
from proxy.config.parameters import Changes
from proxy.config.routing import ModelName, ModelNames


class Agent(Walls):
    """One agent, by the name that requests or keys give."""

    model: ModelName | None = None
    """The model that answers where no rule says another; None: the one that was asked for."""
    fallback: ModelNames | None = None
    """In place of the model's own `fallback.models`; empty: none."""
    parameters: Changes = Field(default_factory=Changes)
    """On top of the model's own."""
    context: Literal["full", "windowed"] = "full"
    """windowed: a conversation too long for a target is cut to fit, its oldest parts first."""

    @model_validator(mode="after")
    def _goes_on(self) -> Self:
        if self.model is not None and self.model in (self.fallback or ()):
            raise ValueError("has a `fallback` to its own model")
        return self
