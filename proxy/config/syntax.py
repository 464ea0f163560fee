"""What the YAML parser complains of, in plain words.

The parser speaks of tokens and simple keys; an operator thinks of tabs, quotes and brackets. Text
of the file is never shown: the line may hold a secret.
"""

from pathlib import Path

import yaml

from proxy.config.problems import Place, Problem

_PHRASES = (
    ("mapping values are not allowed",
     "a `:` is not allowed here; indent the line as its neighbours, or quote the value before it"),
    ("could not find expected ':'", "a `:` is missing after this key"),
    ("expected '-' indicator", "this line is neither a `- item` of the list above nor indented"),
    ("did not find expected key", "this line is indented unlike its neighbours"),
    ("expected ',' or ']'", "a `,` or the closing `]` is missing"),
    ("expected ',' or '}'", "a `,` or the closing `}` is missing"),
    ("unexpected end of stream", "the closing quote is missing"),
    ("unknown escape character", "unknown escape; in double quotes write `\\\\` for a backslash"),
    ("incompatible YAML document", "only YAML 1.1 and 1.2 can be read"),
    ("expected node content", "a value is missing here"),
    ("expected <document start>", "this text does not belong to the document above"),
    ("block sequence entries are not allowed", "a `- item` is not allowed here"),
)  # fmt: skip


def plain_words(error: yaml.MarkedYAMLError, text: str, path: Path) -> Problem:
    """The problem behind a parser's error, at the place it names."""
    mark = error.problem_mark or error.context_mark
    place = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
    phrase = error.problem or error.context or "cannot be read as YAML"
    here = _line(text, place)
    message = _cannot_start(here[place.column - 1 :]) if "start any token" in phrase else None
    if message is None:
        message = next((words for known, words in _PHRASES if known in phrase), phrase)
    if error.context_mark and error.context_mark.line + 1 < place.line:
        message += f" (opened at line {error.context_mark.line + 1})"
    if "${" in here and "flow" in (error.context or ""):
        message += '; inside [ ] and { } write "${NAME}" in quotes'
    return place.problem(message)


def _line(text: str, place: Place) -> str:
    lines = text.splitlines()
    return lines[place.line - 1] if place.line <= len(lines) else ""


def _cannot_start(rest: str) -> str:
    if rest.startswith("\t"):
        return "a tab is not allowed here; indent with spaces"
    return f"a value cannot start with `{rest[:1]}`; put it in quotes"
