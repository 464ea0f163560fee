"""Keys that no setting has: refused with the place of the key and the nearest valid name.

Runs on trees rather than in pydantic, so that the environments that are not chosen are looked at
too, without reading their variables.
"""

from collections.abc import Iterable

from proxy.config.near import nearest
from proxy.config.planned import NOT_BUILT, planned
from proxy.config.problems import Problem
from proxy.config.schema import Keys, List, Names, Shape
from proxy.config.tree import Entry, Items, Loc, Node, Section, dotted


def known_only(root: Section, shape: Keys, problems: list[Problem]) -> Section:
    """`root` without its unknown keys, each of which becomes a problem."""
    return _section(root, shape, (), problems)


def _walk(node: Node, shape: Shape, loc: Loc, problems: list[Problem]) -> Node:
    match node, shape:
        case Section(), Keys():
            return _section(node, shape, loc, problems)
        case Section(), Names(each=each):
            entries = {
                name: Entry(entry.place, _walk(entry.node, each, (*loc, name), problems))
                for name, entry in node.entries.items()
            }
            return Section(node.place, entries)
        case Items(), List(each=each):
            nodes = (_walk(n, each, (*loc, i), problems) for i, n in enumerate(node.nodes))
            return Items(node.place, tuple(nodes))
        case _:
            return node  # A value, or of another shape, which the settings refuse.


def _section(node: Section, shape: Keys, loc: Loc, problems: list[Problem]) -> Section:
    entries: dict[str, Entry] = {}
    for key, entry in node.entries.items():
        if key in shape.fields:
            inner = _walk(entry.node, shape.fields[key], (*loc, key), problems)
            entries[key] = Entry(entry.place, inner)
        else:
            problems.append(entry.place.problem(_refusal((*loc, key), key, shape.fields)))
    return Section(node.place, entries)


def _refusal(loc: Loc, key: str, known: Iterable[str]) -> str:
    if purpose := planned(loc):
        return f"`{dotted(loc)}` ({purpose}) is {NOT_BUILT}; remove it"
    known = tuple(known)
    if len(loc) == 1:
        known += ("environments", "include")
    if near := nearest(key, known):
        return f"unknown key `{key}`; did you mean `{near}`?"
    return f"unknown key `{key}`; known here: {', '.join(sorted(known))}"
