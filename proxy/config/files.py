"""Files and folders that the configuration names: found beside the file that names them.

Files must be there and readable. Folders are made when they are needed; their names become absolute
because they are handed to programs that have working directories of their own.
"""

import os.path
from collections.abc import Callable
from dataclasses import replace

from proxy.config.problems import Problem
from proxy.config.tree import Entry, Node, Scalar, Section

FILE_KEYS = (
    ("tls", "certificate"),
    ("tls", "key"),
    ("providers", "*", "tls", "ca"),
)
FOLDER_KEYS = (("data_dir",),)

_Resolve = Callable[[Scalar, list[Problem]], Scalar]


def beside(root: Section, problems: list[Problem]) -> Section:
    """`root` with its relative names resolved. A file that cannot be read is a problem."""
    for keys, resolve in ((FILE_KEYS, _file), (FOLDER_KEYS, _folder)):
        for steps in keys:
            root = _in_section(root, steps, resolve, problems)
    return root


def _in_section(
    node: Section, steps: tuple[str, ...], resolve: _Resolve, problems: list[Problem]
) -> Section:
    step, rest = steps[0], steps[1:]
    entries = {
        key: Entry(entry.place, _follow(entry.node, rest, resolve, problems))
        if step in ("*", key)
        else entry
        for key, entry in node.entries.items()
    }
    return Section(node.place, entries)


def _follow(node: Node, steps: tuple[str, ...], resolve: _Resolve, problems: list[Problem]) -> Node:
    if steps:
        return _in_section(node, steps, resolve, problems) if isinstance(node, Section) else node
    if not isinstance(node, Scalar) or node.absent or not isinstance(node.value, str):
        return node
    return resolve(node, problems)


def _file(node: Scalar, problems: list[Problem]) -> Scalar:
    path = node.place.file.parent / node.text
    if not os.path.isfile(path):  # Path.is_file raises for names that no system call takes.
        problems.append(node.place.problem("this file does not exist"))
        return replace(node, broken=True)
    if not os.access(path, os.R_OK):
        problems.append(node.place.problem("this file may not be read by this user"))
    return replace(node, text=str(path), plain=False)


def _folder(node: Scalar, problems: list[Problem]) -> Scalar:
    if not node.text:
        return node  # Refused by the settings.
    path = (node.place.file.parent / node.text).absolute()
    if os.path.exists(path) and not os.path.isdir(path):
        problems.append(node.place.problem("this is not a folder"))
        return replace(node, broken=True)
    return replace(node, text=str(path), plain=False)
