"""Expressions of rules, judged while their places are known.

What an expression means is known above this floor (`routing/`), so whoever loads a configuration
hands a judge in; its verdicts become problems like all others. Without a judge nothing is judged.
An expression that holds variables is not quoted: they may be secrets.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from proxy.config.problems import Problem
from proxy.config.tree import Section


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an expression, and where in it, counted from 1."""

    message: str
    line: int = 1
    column: int = 1


Judge = Callable[[str], Fault | None]
"""Parses and type-checks the text of an expression; None: nothing is wrong."""


def judged(root: Section, judge: Judge) -> Iterator[Problem]:
    """One problem per expression that is none."""
    for rule in root.items("rules"):
        if not isinstance(rule, Section):
            continue
        scalar = rule.section("when").scalar("expression")
        if scalar is None or not isinstance(scalar.value, str) or not scalar.text.strip():
            continue
        fault = judge(scalar.text)
        if fault is not None:
            message = "it holds variables" if scalar.variables else fault.message
            yield scalar.place.problem(
                "this expression cannot be used, from line "
                f"{fault.line}, column {fault.column} of it: {message}"
            )
