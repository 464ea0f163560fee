"""Files that the configuration names: found beside the file that names them, and there."""

import os
from dataclasses import replace

from proxy.config.problems import Problem
from proxy.config.tree import Entry, Node, Scalar, Section

FILE_KEYS = (
    ("tls", "certificate"),
    ("tls", "key"),
    ("providers", "*", "tls", "ca"),
)


def beside(root: Section, problems: list[Problem]) -> Section:
    """`root` with its relative file names resolved. A file that cannot be read is a problem."""
    for steps in FILE_KEYS:
        root = _in_section(root, steps, problems)
    return root


def _in_section(node: Section, steps: tuple[str, ...], problems: list[Problem]) -> Section:
    step, rest = steps[0], steps[1:]
    entries = {
        key: Entry(entry.place, _follow(entry.node, rest, problems))
        if step in ("*", key)
        else entry
        for key, entry in node.entries.items()
    }
    return Section(node.place, entries)


def _follow(node: Node, steps: tuple[str, ...], problems: list[Problem]) -> Node:
    if steps:
        return _in_section(node, steps, problems) if isinstance(node, Section) else node
    if not isinstance(node, Scalar) or node.absent or not isinstance(node.value, str):
        return node
    path = node.place.file.parent / node.text
    if not path.is_file():
        problems.append(node.place.problem("this file does not exist"))
        return replace(node, broken=True)
    if not os.access(path, os.R_OK):
        problems.append(node.place.problem("this file may not be read by this user"))
    return replace(node, text=str(path), plain=False)
