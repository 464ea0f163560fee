"""Names to routes: exact first, then the most specific pattern; nothing asked can make it fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.target import Route, Target
from proxy.routing.catalogue import Models
from tests.fakes.exchange import provider
from tests.fakes.wire import FakeTransport

P = provider("p", FakeTransport())


def models(*names: str, target: str = "*") -> Models:
    return Models(Route(name, (Target(P, target),)) for name in names)


CATALOGUE = models("openai/gpt-4o", "*", "openai/*", "openai/*-mini", "*-mini", "a")


@pytest.mark.parametrize(
    ("asked", "route", "upstream"),
    [
        ("a", "a", "*"),
        ("openai/gpt-4o", "openai/gpt-4o", "*"),
        ("openai/gpt-4o-mini", "openai/*-mini", "gpt-4o"),
        ("openai/gpt-5", "openai/*", "gpt-5"),
        ("gpt-mini", "*-mini", "gpt"),
        ("ab", "*", "ab"),
        ("openai/", "*", "openai/"),
        ("-mini", "*", "-mini"),
        ("openai/-mini", "openai/*", "-mini"),
        ("a*b", "*", "a*b"),
    ],
)
def test_the_most_specific_pattern_first(asked: str, route: str, upstream: str) -> None:
    found = CATALOGUE.route(asked)
    assert found is not None
    assert (found.model, found.targets[0].model) == (route, upstream)


def test_the_star_stands_for_something() -> None:
    assert models("a*").route("a") is None
    assert models("a*a").route("aa") is None
    assert models("*").route("") is None
    assert models("a").route("b") is None


def test_the_stars_text_takes_its_place_once() -> None:
    found = models("x/*", target="eu.*.v1").route("x/a*b")
    assert found is not None
    assert found.targets[0].model == "eu.a*b.v1"


def test_names_are_those_that_can_be_asked_for() -> None:
    assert CATALOGUE.names() == ("openai/gpt-4o", "a")


@pytest.mark.parametrize(
    ("asked", "near"), [("openai/gpt-40", "openai/gpt-4o"), ("zzz", None), ("", None)]
)
def test_near(asked: str, near: str | None) -> None:
    assert CATALOGUE.near(asked) == near


@given(st.text(st.characters()) | st.text("*openai/-mn", max_size=8))
def test_nothing_asked_makes_it_fail(asked: str) -> None:
    found = CATALOGUE.route(asked)
    assert (found is None) is (asked == "")
    CATALOGUE.near(asked)


def test_a_very_long_name_is_compared_in_no_time() -> None:
    assert CATALOGUE.near("x" * 10_000_000) is None
