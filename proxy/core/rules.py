"""What a rule decides. `routing/` finds the rule, `middleware/rules.py` does as it says."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.core.exchange import Exchange
    from proxy.wire.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Rule:
    """The decision of one rule, or of the entry of an agent."""

    name: str
    use: str | None = None  # The model; None: the one asked for.
    fallback: tuple[str, ...] | None = None  # In place of the model's own.
    parameters: "Parameters | None" = None  # Before those of the model.
    local: bool = False  # Only providers of residency `local` may see it.
    windowed: bool = False  # What is too long for a target is cut to fit.


class Rules(Protocol):
    """All rules of a configuration."""

    def decide(self, x: "Exchange", /) -> Rule | None:
        """The first that takes this request, or None."""
