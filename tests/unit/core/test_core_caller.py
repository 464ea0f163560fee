"""Names of models with a star: who may use what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.caller import ANONYMOUS, ModelPatterns


@pytest.mark.parametrize(
    ("patterns", "model", "allowed"),
    [
        (("a",), "a", True),
        (("a",), "ab", False),
        (("a*",), "a", True),
        (("a*",), "ab", True),
        (("a*",), "ba", False),
        (("*a",), "ba", True),
        (("a*a",), "a", False),
        (("a*a",), "aa", True),
        (("x", "openai/*-mini"), "openai/gpt-mini", True),
        (("x", "openai/*-mini"), "openai/gpt", False),
        (("*",), "", True),
        ((), "a", False),
    ],
)
def test_patterns(patterns: tuple[str, ...], model: str, allowed: bool) -> None:
    assert (model in ModelPatterns.of(patterns)) is allowed


@given(st.text())
def test_anonymous_may_use_everything(model: str) -> None:
    assert model in ANONYMOUS.models
    assert ANONYMOUS.models.everything


def test_only_the_bare_star_is_everything() -> None:
    assert not ModelPatterns.of(("a*", "*a", "b")).everything
    assert ModelPatterns.of(("b", "*")).everything
