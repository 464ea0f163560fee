"""Reading YAML: what scalars mean, what is refused, and where."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.load import load
from proxy.config.problems import ConfigError, Problem
from proxy.config.reader import MAX_BYTES, parse
from proxy.config.scalars import Number, plain_value
from proxy.config.tree import Scalar, find, plain_data
from tests.unit.config.config_cases import settings_of, written, wrong_with


def data_of(text: str) -> object:
    problems: list[Problem] = []
    tree = parse(text, Path("f"), problems)
    assert tree is not None
    assert not problems
    return plain_data(tree)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("false", False), ("True", True),
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"),
        ("null", None), ("~", None), ("", None), ("Null", None), ("none", "none"),
        ("8", 8), ("-3", -3), ("012", 12), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"),
        ("1:30", "1:30"), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("-.inf", float("-inf")),
        ("2030-01-31", "2030-01-31"), ("1.2.3", "1.2.3"), ("+", "+"), ("=", "="), ("0b1", "0b1"),
        ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_plain_scalars_are_yaml_1_2(text: str, value: object) -> None:
    found = plain_value(text)
    assert found == value
    kind = float if isinstance(found, Number) else type(found)
    assert kind is type(value)


@pytest.mark.parametrize("text", ["0.1", "2.50", "1e-3", ".5", "0.1234567890123456789"])
def test_a_number_keeps_how_it_was_written(text: str) -> None:
    found = plain_value(text)
    assert isinstance(found, Number)
    assert (found.written, found) == (text, float(text))


def test_not_a_number_is_one() -> None:
    found = plain_value(".nan")
    assert isinstance(found, float)
    assert found != found  # noqa: PLR0124


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_plain_scalars_never_fail(text: str) -> None:
    plain_value(text)


def test_quotes_make_text() -> None:
    text = "a: '8'\nb: \"true\"\nc: |\n  null\nd: ''\n"
    assert data_of(text) == {"a": "8", "b": "true", "c": "null\n", "d": ""}


def test_aliases_and_merge_keys() -> None:
    text = """
base: &base {a: 1, b: 2}
more: &more {b: 3, c: 4}
one: {<<: *base, b: 9}
two: {<<: [*base, *more]}
same: *base
"""
    data = data_of(text)
    assert isinstance(data, dict)
    assert data["one"] == {"a": 1, "b": 9}
    assert data["two"] == {"a": 1, "b": 2, "c": 4}
    assert data["same"] == {"a": 1, "b": 2}


def test_places_are_of_characters_from_one() -> None:
    tree = parse("é: [ü, {x: ñ}]\nlist:\n  - a\n  -   b\n", Path("f"), [])
    assert tree is not None
    inner = find(tree, ("é", 1, "x"))
    assert (inner.key.line, inner.key.column) == (1, 9)
    assert (inner.node.place.line, inner.node.place.column) == (1, 12)
    second = find(tree, ("list", 1)).node
    assert isinstance(second, Scalar)
    assert (second.place.line, second.place.column) == (4, 7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listen:\n\tx: 1\n", "2:1: a tab is not allowed here; indent with spaces"),
        ("a: b: c\n", "1:5: a `:` is not allowed here"),
        ("a: [1, 2\nb: 3\n", "2:2: a `,` or the closing `]` is missing (opened at line 1)"),
        ("a: 'x\n", "the closing quote is missing"),
        ("a: @x\n", "1:4: a value cannot start with `@`; put it in quotes"),
        ("a: {b: ${X}}\n", 'inside [ ] and { } write "${NAME}" in quotes'),
        ('a: "\\q"\n', "1:5: unknown escape"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document starts here"),
        ("- a\n", "1:1: must be a mapping"),
        ("just text\n", "1:1: must be a mapping"),
        ("a: 1\nb: {c: 1,\n  c: 2}\n", "3:3: `c` is already given at f:2:5"),
        ("a: !!int '3'\n", "1:4: tags"),
        ("a: !x {b: 1}\n", "1:4: tags"),
        ("? [a]\n: 1\n", "1:3: a key must be a single word or text"),
        ("'': 1\n", "1:1: a key must not be empty"),
        ('"${X}": 1\n', "1:1: variables are read in values only"),
        ("<<: 3\n", "1:1: `<<` takes a mapping"),
        ("a: &a [*a]\n", "1:8: the alias `*a` has no anchor"),
        ("a: *nobody\n", "1:4: the alias `*nobody` has no anchor"),
        ("a: x\x07\n", "1:5: the character U+0007 is not allowed"),
        ("a: \x00\n", "1:4: the character U+0000 is not allowed"),
        ("a: x\u2028\n", "1:5: the character U+2028 is not allowed"),
        ("%YAML 3.0\n---\na: 1\n", "1:1: only YAML 1.1 and 1.2 can be read"),
        ("[" * 100_000, "1:65: is nested more than 64 levels deep"),
        ("a: " + "{a: " * 100_000, "levels deep"),
    ],
)
def test_refused_text(text: str, expected: str) -> None:
    problems: list[Problem] = []
    parse(text, Path("f"), problems)
    assert len(problems) == 1
    assert expected in f"{problems[0].line}:{problems[0].column}: {problems[0].message}"


def test_syntax_errors_show_nothing_of_the_line() -> None:
    problems: list[Problem] = []
    parse("keys: [{key: sk-very-secret, x: }, @sk-very-secret]\n", Path("f"), problems)
    assert problems
    assert "sk-very" not in str(problems)


@given(
    st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("\n\t :-[]{}&*!|>'\"%@#?,$~"))
)
def test_any_text_is_a_tree_or_a_problem(text: str) -> None:
    problems: list[Problem] = []
    tree = parse(text, Path("f"), problems)
    assert tree is not None or problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)


def test_an_alias_bomb_is_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    problems: list[Problem] = []
    assert parse("\n".join(lines), Path("f"), problems) is None
    assert "more than 100,000 values" in problems[0].message


def test_small_faults_are_collected_in_one_file() -> None:
    problems: list[Problem] = []
    parse("a: 1\na: 2\nb: !t x\n'': 3\n", Path("f"), problems)
    assert [problem.line for problem in problems] == [2, 3, 4]


def test_not_utf8_is_refused_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes("auth: none\n# é".encode() + b" \xff\n")
    with pytest.raises(ConfigError) as caught:
        load(path, env={})
    assert str(caught.value) == f"{path}:2:5: the file is not UTF-8 from here on"


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        load(path, env={})


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbfauth: none\n")
    assert load(path, env={}).settings.auth == "none"


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path / "absent.yaml", "cannot be read: no such file"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path, env={})
        assert str(caught.value) == f"{path}:1:1: {reason}"


def test_an_empty_file_lacks_keys_only(tmp_path: Path) -> None:
    path = written(tmp_path, "# nothing\n")
    with pytest.raises(ConfigError) as caught:
        load(path, env={})
    assert [p.message[:20] for p in caught.value.problems] == ["`auth` is `required`"]


def test_empty_sections_are_as_if_not_written(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "tls: {certificate: null, key: ~}\nkeys:\nmodels:\nlisten:\n")
    assert settings.keys == ()
    assert str(settings.listen) == "127.0.0.1:8080"


def test_a_syntax_error_hides_what_would_follow_from_it(tmp_path: Path) -> None:
    problems = wrong_with(tmp_path, "auth: required\nkeys: [\n")
    assert len(problems) == 1
