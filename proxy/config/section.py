"""What all parts of the settings have in common."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from proxy.config.scalars import Blank


class SettingsSection(BaseModel):
    """Frozen and closed. A key whose value is null, or left empty by its variables, is absent."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        # A section is checked as a part of what holds it: to prepare each for itself, too, takes
        # longer than to read a configuration. What is checked alone says `defer_build=False`.
        defer_build=True,
    )

    @classmethod
    def derive(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Values that follow from what was written, before anything is checked."""
        return dict(data)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_absent(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        derived = cls.derive(data)
        return {k: v for k, v in derived.items() if v is not None and not isinstance(v, Blank)}
