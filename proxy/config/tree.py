"""A configuration as a tree whose every node knows its place.

Reading makes a tree, including and overlaying merge trees, interpolation fills the variables in;
only then does the tree become plain data for the settings. Nodes are immutable, so an alias and its
anchor, or a file included twice, share them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.config.problems import Place
from proxy.config.scalars import Blank, Value, plain_value

Loc = tuple[str | int, ...]
"""Keys and indices from the root."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as text. `plain`: written without quotes, so it may be a number or null."""

    place: Place
    text: str
    plain: bool = False
    variables: tuple[str, ...] = ()  # Those interpolated: then the text may be a secret.
    broken: bool = False  # Already reported; nothing more is said about it.

    @property
    def value(self) -> Value:
        return plain_value(self.text) if self.plain else self.text

    @property
    def absent(self) -> bool:
        """Null, or left empty by its variables: as if it had not been written."""
        return self.broken or self.value is None or (not self.text and bool(self.variables))


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    place: Place
    nodes: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's place and its value."""

    place: Place
    node: "Node"


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping, in the order of the file."""

    place: Place
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def section(self, key: str) -> "Section":
        """The mapping under `key`; empty when there is none."""
        entry = self.entries.get(key)
        node = entry.node if entry else None
        return node if isinstance(node, Section) else Section(self.place)

    def items(self, key: str) -> tuple["Node", ...]:
        """The list under `key`; empty when there is none."""
        entry = self.entries.get(key)
        return entry.node.nodes if entry and isinstance(entry.node, Items) else ()

    def sections(self, key: str) -> Iterator[tuple[str, Entry, "Section"]]:
        """Names, entries and mappings of a mapping of mappings; what is no mapping is left out."""
        for name, entry in self.section(key).entries.items():
            if isinstance(entry.node, Section):
                yield name, entry, entry.node

    def scalar(self, key: str) -> Scalar | None:
        """The scalar under `key`, if it is written and says something."""
        entry = self.entries.get(key)
        node = entry.node if entry else None
        return node if isinstance(node, Scalar) and not node.absent else None

    def says(self, key: str) -> bool:
        """Whether something stands under `key`, be it already refused."""
        entry = self.entries.get(key)
        node = entry.node if entry else None
        return node is not None and not (
            isinstance(node, Scalar) and node.absent and not node.broken
        )

    def without(self, *keys: str) -> "Section":
        return Section(self.place, {k: e for k, e in self.entries.items() if k not in keys})


Node = Scalar | Items | Section


def merge(over: Node, under: Node) -> Node:
    """Mappings merge key by key; anything else of `over` replaces what is `under` it."""
    if not (isinstance(over, Section) and isinstance(under, Section)):
        return over
    return merge_sections(over, under)


def merge_sections(over: Section, under: Section) -> Section:
    """`under`, with what `over` says put on top. An empty value of `over` replaces too."""
    entries = dict(under.entries)
    for key, entry in over.entries.items():
        below = entries.get(key)
        node = merge(entry.node, below.node) if below else entry.node
        entries[key] = Entry(entry.place, node)
    return Section(over.place, entries)


def plain_data(node: Node) -> Any:
    """Dicts, lists and values, as pydantic takes them."""
    match node:
        case Scalar():
            empty = node.variables and not node.text
            return Blank(node.variables) if empty else node.value
        case Items():
            return [plain_data(child) for child in node.nodes]
        case Section():
            return {key: plain_data(entry.node) for key, entry in node.entries.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """As far as a location leads: `whole` when to its end."""

    node: Node
    key: Place  # Of the last key followed, or of the list's item.
    whole: bool


def find(root: Section, loc: Loc) -> Found:
    """Follow `loc` from the root as far as it goes."""
    node: Node = root
    key = root.place
    for step in loc:
        if isinstance(node, Section) and isinstance(step, str) and step in node.entries:
            key, node = node.entries[step].place, node.entries[step].node
        elif isinstance(node, Items) and isinstance(step, int) and step < len(node.nodes):
            node = node.nodes[step]
            key = node.place
        else:
            return Found(node, key, whole=False)
    return Found(node, key, whole=True)


def dotted(loc: Loc) -> str:
    """`keys[0].name`: a location as messages show it."""
    shown = ""
    for step in loc:
        shown += f"[{step}]" if isinstance(step, int) else f".{step}" if shown else step
    return shown
