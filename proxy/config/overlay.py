"""The process environment, and what the configuration takes from it.

The only place that reads `os.environ`. Everything else gets the mapping handed in, so that tests
and `check` can load a file as another machine would.
"""

import os
from collections.abc import Mapping

from proxy.config.near import nearest
from proxy.config.problems import Problem
from proxy.config.tree import Scalar, Section, merge_sections

ENVIRONMENT_VARIABLE = "LLM_PROXY_ENV"

_TOP_ONLY = frozenset({"environments", "include"})
_PROXY_VARIABLES = {
    "https": ("https_proxy", "HTTPS_PROXY"),
    "http": ("http_proxy", "HTTP_PROXY"),
    "none": ("no_proxy", "NO_PROXY"),
}


def process_environment() -> Mapping[str, str]:
    """A copy of this process's environment."""
    return dict(os.environ)  # noqa: TID251


def proxies_from(env: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """`proxies` keys → (variable, value). Lower case wins, as in curl."""
    found = {}
    for key, variables in _PROXY_VARIABLES.items():
        for variable in variables:
            if value := env.get(variable, "").strip():
                found[key] = variable, value
                break
    return found


def choose(
    root: Section, environment: str | None, env: Mapping[str, str], problems: list[Problem]
) -> tuple[Section, tuple[Section, ...]]:
    """The tree with the chosen environment on top, and the overlays that were not chosen."""
    base = root.without("environments")
    written = root.entries.get("environments")
    if written and not isinstance(written.node, Section):
        problems.append(written.node.place.problem("`environments` must be a mapping of names"))
    known = _overlays(root.section("environments"), problems)
    name, origin = environment, ""
    if name is None:
        name, origin = env.get(ENVIRONMENT_VARIABLE) or None, f" (from {ENVIRONMENT_VARIABLE})"
    others = tuple(section for other, section in known.items() if other != name)
    if name is None:
        return base, others
    if name in known:
        return merge_sections(known[name], base), others
    if name not in root.section("environments").entries:
        place = written.place if written else root.place
        problems.append(place.problem(_unknown(name, origin, tuple(known))))
    return base, others


def _overlays(written: Section, problems: list[Problem]) -> dict[str, Section]:
    overlays: dict[str, Section] = {}
    for name, entry in written.entries.items():
        node = entry.node
        if isinstance(node, Section):
            for key in _TOP_ONLY & node.entries.keys():
                place = node.entries[key].place
                problems.append(place.problem(f"`{key}` cannot be used inside an environment"))
            overlays[name] = node.without(*_TOP_ONLY)
        elif isinstance(node, Scalar) and node.absent:
            overlays[name] = Section(node.place)
        else:
            problems.append(node.place.problem(f"`environments.{name}` must be a mapping"))
    return overlays


def _unknown(name: str, origin: str, known: tuple[str, ...]) -> str:
    near = nearest(name, known)
    hint = f"; did you mean `{near}`?" if near else ""
    listed = f"known: {', '.join(known)}" if known else "`environments` defines none"
    return f"the environment `{name}`{origin} is not defined{hint}; {listed}"
