"""What is wrong with a configuration, and where.

A `Place` is a character of a file, counted from 1 as editors do. A load collects every `Problem`
before it gives up, so that an operator mends a file in one go. Messages never show a value that may
be a secret: they name keys, variables and what was expected.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """One character of a file."""

    file: Path
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def problem(self, message: str) -> "Problem":
        return Problem(self.file, self.line, self.column, message)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend."""

    file: Path
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used; `str()` has one line per problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
