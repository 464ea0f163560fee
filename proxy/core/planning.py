"""The port through which a request gets its plan. `routing/` implements it."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.core.exchange import Exchange
    from proxy.core.target import Route, Target


class Planner(Protocol):
    """Which targets are tried, and in which order."""

    def plan(self, x: "Exchange", route: "Route", /) -> "tuple[Target, ...]":
        """The targets that can take the request; notes in `x.dropped` what cannot, and why.

        Raises BadRequest where none can take it as it is, OperatorError where none is there."""
