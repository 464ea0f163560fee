"""Settings of a scope that the admin API keeps in the store: a team, a user, a model, all of us."""

from collections.abc import Mapping

from pydantic import Field, StrictBool

from proxy.config.limits import Walls


class ScopeSettings(Walls, defer_build=False):
    """The limits and budgets of a scope, and what else is known of it."""

    blocked: StrictBool = False
    """true: every request that belongs to it is refused until it is false again."""
    metadata: Mapping[str, str] = Field(default_factory=dict)
    """Whatever the operator wants to keep with it."""
