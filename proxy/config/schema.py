"""The shape of the settings: which keys may be written where.

Read from the pydantic models, so that unknown keys, near names and the reference in
`docs/configuration.md` follow the settings without a second list.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from proxy.config.section import SettingsSection


@dataclass(frozen=True, slots=True)
class Keys:
    """A mapping with known keys."""

    fields: Mapping[str, "Shape"]


@dataclass(frozen=True, slots=True)
class Names:
    """A mapping from names of the operator's choice."""

    each: "Shape"


@dataclass(frozen=True, slots=True)
class List:
    """A list."""

    each: "Shape"


Shape = Keys | Names | List | None
"""None: a single value."""


def shape_of(annotation: Any) -> Shape:
    """The shape of a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, SettingsSection):
        return keys_of(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Mapping:
        return Names(shape_of(inner[1]))
    if origin is tuple:
        return List(shape_of(inner[0]))
    if origin in (Union, UnionType):
        return next((shape for shape in map(shape_of, inner) if shape), None)
    return None


def keys_of(section: type[SettingsSection]) -> Keys:
    """The keys that may be written in a section."""
    return Keys(
        {
            info.alias or name: shape_of(info.annotation)
            for name, info in section.model_fields.items()
            if not (
                isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("derived")
            )
        }
    )


def key_paths(shape: Shape, prefix: str = "") -> Iterator[str]:
    """Every key that takes a value, as in `models.<name>.targets[].weight`."""
    match shape:
        case Keys():
            for name, inner in shape.fields.items():
                yield from key_paths(inner, f"{prefix}.{name}" if prefix else name)
        case Names(each=each) if each:
            yield from key_paths(each, f"{prefix}.<name>")
        case List(each=Keys() as each):
            yield from key_paths(each, f"{prefix}[]")
        case _:
            yield prefix
