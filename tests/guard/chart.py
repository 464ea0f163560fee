"""A small strict reader of Helm's templates, for tests: it knows what our chart uses and no more.

It knows `define`, `include`, `if`, `else`, `end`, dashes that trim, paths such as `.Values.a.b` and
the functions below. Whatever else it meets is an error, also a path that leads nowhere, so that a
template that passes here says only things whose meaning is plain. It is not Helm.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

_TAG = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.S)
_WORD = re.compile(r'"[^"]*"|[^\s"]+')

Parts = list[tuple[str, str]]
"""`text` or `tag`, and what it says."""


class ChartError(Exception):
    """Something that this reader does not know."""


def parts(text: str) -> Parts:
    """A template as texts and tags, trimmed where its dashes say so."""
    found: Parts = []
    end, trim = 0, False
    for tag in _TAG.finditer(text):
        plain = text[end : tag.start()]
        plain = plain.lstrip() if trim else plain
        found.append(("text", plain.rstrip() if tag[1] else plain))
        found.append(("tag", tag[2]))
        end, trim = tag.end(), bool(tag[3])
    rest = text[end:]
    found.append(("text", rest.lstrip() if trim else rest))
    if any("{{" in said for kind, said in found if kind == "text"):
        raise ChartError("braces that are no tag")
    return found


class Chart:
    """Templates that know each other's definitions."""

    def __init__(self, templates: Mapping[str, str], known: Mapping[str, Any]) -> None:
        """`known`: what stands behind `.`: Values, Release, Chart."""
        self._known = known
        self._defined: dict[str, Parts] = {}
        self._texts = {name: self._undefined(parts(text)) for name, text in templates.items()}

    def render(self, name: str) -> str:
        """One template, filled in. Raises ChartError."""
        return self._filled(iter(self._texts[name]))

    def documents(self, name: str) -> list[dict[str, Any]]:
        """The objects that it makes."""
        return [each for each in yaml.safe_load_all(self.render(name)) if each is not None]

    def _undefined(self, whole: Parts) -> Parts:
        """What is left when definitions are taken out."""
        rest: Parts = []
        inside: str | None = None
        depth = 0
        for kind, said in whole:
            verb = said.split(" ", 1)[0] if kind == "tag" else ""
            if verb == "define":
                inside = said.split('"')[1]
                self._defined[inside] = []
            elif verb == "end" and inside is not None and not depth:
                inside = None
            else:
                depth += (verb == "if") - (verb == "end" and inside is not None)
                (rest if inside is None else self._defined[inside]).append((kind, said))
        return rest

    def _filled(self, whole: Iterator[tuple[str, str]]) -> str:
        said, end = self._until(whole, ())
        assert end is None
        return said

    def _until(
        self, whole: Iterator[tuple[str, str]], ends: tuple[str, ...]
    ) -> tuple[str, str | None]:
        out = []
        for kind, said in whole:
            if kind == "text":
                out.append(said)
            elif said in ends:
                return "".join(out), said
            elif said.startswith("if "):
                out.append(self._chosen(whole, said.removeprefix("if ")))
            else:
                out.append(_as_text(self._value(said)))
        if ends:
            raise ChartError(f"no {' or '.join(ends)}")
        return "".join(out), None

    def _chosen(self, whole: Iterator[tuple[str, str]], condition: str) -> str:
        yes, end = self._until(whole, ("else", "end"))
        no = self._until(whole, ("end",))[0] if end == "else" else ""
        return yes if self._value(condition) else no

    def _value(self, pipeline: str) -> Any:
        first, *rest = (each.strip() for each in pipeline.split("|"))
        value = self._call(_WORD.findall(first), ())
        for each in rest:
            value = self._call(_WORD.findall(each), (value,))
        return value

    def _call(self, words: list[str], piped: tuple[Any, ...]) -> Any:
        name, *arguments = words
        if not arguments and not piped and name.startswith((".", '"')):
            return self._atom(name)
        values = [self._atom(word) for word in arguments]
        if name == "include":
            return self._filled(iter(self._defined[values[0]]))
        if name not in _FUNCTIONS:
            raise ChartError(f"unknown function {name}")
        return _FUNCTIONS[name](*values, *piped)

    def _atom(self, word: str) -> Any:
        if word.startswith('"'):
            return word[1:-1]
        if word.isdigit():
            return int(word)
        if not word.startswith("."):
            raise ChartError(f"unknown word {word}")
        value: Any = self._known
        for name in word[1:].split(".") if word != "." else ():
            if not isinstance(value, Mapping) or name not in value:
                raise ChartError(f"{word} leads nowhere")
            value = value[name]
        return value


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int):
        raise ChartError(f"not text: {value!r}")
    return str(value)


def _indented(spaces: int, text: str) -> str:
    return "\n" + "\n".join(" " * spaces + line if line else line for line in text.split("\n"))


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "quote": lambda value: f'"{value}"',
    "default": lambda otherwise, value: value or otherwise,
    "nindent": _indented,
    "toYaml": lambda value: yaml.safe_dump(value, default_flow_style=False).rstrip("\n"),
}
