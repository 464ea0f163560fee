"""What operators switch at run time: targets opened or closed by hand, providers disabled.

The store keeps a switch like the walls of a scope, of a kind of its own, so it is audited, reaches
every worker by the directory and survives a restart. Its name is JSON: `["provider"]` or
`["model","provider","model there"]`; its document has a `state`. A switch that is back in its usual
position is deleted.
"""

from typing import Final, Literal, NamedTuple

from proxy.base.jsonio import JSONError, dumps, loads
from proxy.core.quota import ScopeKind

SWITCH: Final[ScopeKind] = "switch"

State = Literal["open", "closed", "disabled"]


class Switched(NamedTuple):
    """`model`, the configured one, and `there` are empty for a provider as a whole."""

    provider: str
    model: str = ""
    there: str = ""


def name_of(what: Switched) -> str:
    """The name under which the store keeps it."""
    words = [what.model, what.provider, what.there] if what.model else [what.provider]
    return dumps(words).decode()


def read_name(name: str) -> Switched:
    """What such a name stands for. Raises ValueError."""
    match _loaded(name.encode()):
        case [str(provider)]:
            return Switched(provider)
        case [str(model), str(provider), str(there)]:
            return Switched(provider, model, there)
        case _:
            raise ValueError("it names no target and no provider")


def read_state(document: bytes) -> State:
    """The state in a document. Raises ValueError."""
    match _loaded(document):
        case {"state": "open" | "closed" | "disabled" as state}:
            found: State = state
            return found
        case _:
            raise ValueError("it has no state that is known")


def _loaded(text: bytes) -> object:
    try:
        found: object = loads(text)
    except JSONError as error:
        raise ValueError("it is no JSON") from error
    return found
