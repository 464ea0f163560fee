"""One configuration, built whole: what a request needs and nothing that changes.

A reload builds another Runtime and swaps one reference; a request keeps the one it began with.
"""

from dataclasses import dataclass, field

from proxy.core.caller import Callers, Directory
from proxy.core.counting import NoCounter, TokenCounter
from proxy.core.gate import Gate
from proxy.core.ledger import Ledger
from proxy.core.pauses import Allowance
from proxy.core.planning import Planner
from proxy.core.rules import Rules
from proxy.core.steps import Step
from proxy.core.target import Catalogue, Target


@dataclass(frozen=True, slots=True)
class Runtime:
    """The snapshot a request lives in."""

    version: str
    middlewares: tuple[Step, ...]
    catalogue: Catalogue
    callers: Callers | None  # None: auth is off and everybody is anonymous.
    passthrough: Target | None
    providers: dict[str, Target]  # By name: where `x-llm-proxy-provider` may send operations.
    ledger: Ledger
    max_body: int
    tokens: TokenCounter = field(default_factory=NoCounter)
    directory: Directory | None = None  # Callers that are not in the configuration.
    gate: Gate | None = None  # None: nothing is limited.
    planner: Planner | None = None  # None: targets are tried as they are written.
    rules: Rules | None = None  # None: there are none.
    retries: Allowance = field(default_factory=lambda: Allowance(0.1))
    spans: bool = False  # Whether this proxy takes part in traces.
    head_lines: bytes = b""  # Header lines, rendered, that every answer carries.
