"""One YAML file → a tree with places.

Built from the parser's events, not from composed nodes: the C composer recurses without bound, and
a thousand nested brackets would end the process. Here depth and size are bounded while reading; an
alias counts as much as what it stands for. A syntax error ends the file; duplicate keys, tags and
the like are collected and reading goes on.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import yaml

from proxy.config.problems import Place, Problem
from proxy.config.syntax import plain_words
from proxy.config.tree import Entry, Items, Node, Scalar, Section

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 100_000

# U+0085, U+2028 and U+2029 too: the parser takes them for line breaks, editors and YAML 1.2 do not.
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


class _Stop(Exception):
    """Reading cannot go on; the problem is already noted."""


def read(path: Path, problems: list[Problem]) -> Section | None:
    """The tree of one file, or None where its text cannot be understood; what is wrong is added
    to `problems`. Raises OSError when it cannot be opened."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        problems.append(Place(path).problem("is larger than 4 MiB"))
        return None
    try:
        text = raw.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        place = _place_at(before, len(before), path)
        problems.append(place.problem("the file is not UTF-8 from here on"))
        return None
    return parse(text, path, problems)


def parse(text: str, path: Path, problems: list[Problem]) -> Section | None:
    """The same for text."""
    if bad := _UNPRINTABLE.search(text):
        place = _place_at(text, bad.start(), path)
        problems.append(place.problem(f"the character U+{ord(bad.group()):04X} is not allowed"))
        return None
    try:
        return _Reader(path, text, problems).document()
    except _Stop:
        return None
    except yaml.MarkedYAMLError as error:
        problems.append(plain_words(error, text, path))
        return None


def _place_at(text: str, index: int, path: Path) -> Place:
    before = text[:index]
    return Place(path, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


class _Reader:
    """Builds the tree of one file from its events."""

    def __init__(self, path: Path, text: str, problems: list[Problem]) -> None:
        self.problems = problems
        self._path = path
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0
        self._depth = 0

    def document(self) -> Section:
        next(self._events)  # The start of the stream.
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return Section(Place(self._path))
        root = self._node(next(self._events))
        next(self._events)  # The end of the document.
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            self._stop(after, "a second document starts here; a configuration has one")
        if isinstance(root, Section):
            return root
        if isinstance(root, Scalar) and root.value is None:
            return Section(root.place)
        self.problems.append(root.place.problem("must be a mapping (`name: value` lines)"))
        raise _Stop

    def _node(self, event: yaml.Event) -> Node:
        before = self._nodes
        self._count(event, 1)
        node: Node
        match event:
            case yaml.AliasEvent():
                return self._alias(event)
            case yaml.ScalarEvent():
                plain = bool(event.implicit[0])
                node = Scalar(self._place(event), event.value, plain=plain)
                tagged = event.tag is not None
            case yaml.SequenceStartEvent():
                node = Items(self._place(event), tuple(self._children(event)))
                tagged = not event.implicit
            case yaml.MappingStartEvent():
                node = self._mapping(event)
                tagged = not event.implicit
            case _:
                raise AssertionError(f"no node starts with {type(event).__name__}")
        if tagged:
            self._note(event, "tags (`!…`) are not supported; quotes make text of anything")
        if event.anchor is not None:
            self._anchors[event.anchor] = node, self._nodes - before
        return node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            message = (
                f"the alias `*{event.anchor}` has no anchor `&{event.anchor}` that ends before it"
            )
            self._stop(event, message)
        node, size = known
        self._count(event, size - 1)
        return node

    def _children(self, event: yaml.Event) -> Iterator[Node]:
        self._enter(event)
        while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
            yield self._node(item)
        self._depth -= 1

    def _mapping(self, event: yaml.MappingStartEvent) -> Section:
        self._enter(event)
        entries: dict[str, Entry] = {}
        merged: list[Section] = []
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            name = self._key(key)
            value = self._node(next(self._events))
            if name == "<<" and isinstance(key, yaml.ScalarEvent) and key.implicit[0]:
                merged += self._merged(key, value)
            elif name in entries:
                first = entries[name].place
                self._note(key, f"`{name}` is already given at {first}; a key may be given once")
            elif name is not None:
                entries[name] = Entry(self._place(key), value)
        self._depth -= 1
        for section in merged:
            entries = {**entries, **{k: e for k, e in section.entries.items() if k not in entries}}
        return Section(self._place(event), entries)

    def _key(self, event: yaml.Event) -> str | None:
        node = self._node(event)
        if not isinstance(node, Scalar):
            self._note(event, "a key must be a single word or text")
            return None
        if not node.text:
            self._note(event, "a key must not be empty")
            return None
        if "${" in node.text:
            self._note(event, "variables are read in values only, not in keys")
            return None
        return node.text

    def _merged(self, key: yaml.Event, value: Node) -> list[Section]:
        nodes = value.nodes if isinstance(value, Items) else (value,)
        sections = [node for node in nodes if isinstance(node, Section)]
        if len(sections) != len(nodes):
            self._note(key, "`<<` takes a mapping or a list of mappings")
        return sections

    def _enter(self, event: yaml.Event) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._stop(event, f"is nested more than {MAX_DEPTH} levels deep")

    def _count(self, event: yaml.Event, size: int) -> None:
        self._nodes += size
        if self._nodes > MAX_NODES:
            self._stop(event, f"the file has more than {MAX_NODES:,} values, aliases counted out")

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self._path, mark.line + 1, mark.column + 1) if mark else Place(self._path)

    def _note(self, event: yaml.Event, message: str) -> None:
        self.problems.append(self._place(event).problem(message))

    def _stop(self, event: yaml.Event, message: str) -> NoReturn:
        self._note(event, message)
        raise _Stop
