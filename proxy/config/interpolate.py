"""`${NAME}`, `${NAME:-default}` and `$$` in values.

Done after parsing and merging: a variable's content can never become YAML, and what an overlay
replaced needs no variable. The default also stands in for a variable that is set but empty, as in
a shell. A `$` before anything else is itself.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from proxy.config.problems import Problem
from proxy.config.tree import Entry, Items, Node, Scalar, Section

_REFERENCE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<bad>)))",
    re.ASCII,
)


def fill(node: Node, env: Mapping[str, str], problems: list[Problem]) -> Node:
    """The tree with its variables filled in. What cannot be is noted and marked broken."""
    match node:
        case Scalar():
            return _fill_text(node, env, problems) if "$" in node.text else node
        case Items():
            return Items(node.place, tuple(fill(child, env, problems) for child in node.nodes))
        case Section():
            return fill_section(node, env, problems)


def fill_section(node: Section, env: Mapping[str, str], problems: list[Problem]) -> Section:
    entries = {
        key: Entry(entry.place, fill(entry.node, env, problems))
        for key, entry in node.entries.items()
    }
    return Section(node.place, entries)


def _fill_text(node: Scalar, env: Mapping[str, str], problems: list[Problem]) -> Scalar:
    wrong: list[str] = []
    names: list[str] = []

    def put(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        if match["bad"] is not None:
            wrong.append(
                "`${` must be followed by NAME} or NAME:-default}; for a plain `$` write `$$`"
            )
            return ""
        name, default = match["name"], match["default"]
        names.append(name)
        value = env.get(name)
        if value is None and default is None:
            wrong.append(
                f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}"
            )
        return value or default or ""

    text = _REFERENCE.sub(put, node.text)
    problems.extend(node.place.problem(message) for message in wrong)
    return replace(node, text=text, variables=tuple(dict.fromkeys(names)), broken=bool(wrong))
