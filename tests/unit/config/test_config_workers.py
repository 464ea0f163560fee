"""Several workers without Redis: refused where anything is limited, by the place and the reason."""

from pathlib import Path

import pytest

from tests.unit.config.config_cases import settings_of, wrong_with

SEVERAL = "workers: 4\n"
DEMO = "providers: {demo: {kind: demo}}\n"
MODEL = DEMO + "models: {m: {targets: [{provider: demo, model: d}]"
KEY = "keys: [{name: a, key: sk-a"


@pytest.mark.parametrize(
    "text",
    [
        "global: {limits: {rpm: 1}}",
        "global: {budgets: [{amount: 5, period: day}]}",
        "teams: {'*': {limits: {concurrency: 2}}}",
        "customers: {c: {budgets: [{amount: 5, period: total, hard: false}]}}",
        "sessions: {s: {limits: {tokens_per_request: 7}}}",
        KEY + ", limits: {tpm: 0}}]",
        KEY + ", budgets: [{amount: 5, period: day}]}]",
        KEY + ", model_limits: {'gpt-*': {limits: {rpd: 9}}}}]",
        MODEL + ", limits: {rpm: 4}}}",
        "providers: {demo: {kind: demo, limits: {tpd: 4}}}",
        "jwt: [{issuer: 'https://i', audience: [x], grants: {limits: {rpm: 1}}}]",
    ],
)
def test_what_each_worker_would_count_by_itself_is_refused(tmp_path: Path, text: str) -> None:
    (problem,) = [each for each in wrong_with(tmp_path, SEVERAL + text) if "redis" in each]
    assert problem.startswith("1:10: more than one worker needs `redis`, for there are limits or ")
    assert ".yaml:" in problem  # Where they are.


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        ("workers: 1\n", "global: {limits: {rpm: 1}}"),
        ("", "global: {limits: {rpm: 1}}"),
        (SEVERAL, "redis: redis://127.0.0.1\nglobal: {limits: {rpm: 1}}"),
        (SEVERAL, "global: {limits: {}, budgets: []}"),
        (SEVERAL, "global: {limits: {rpm: null}}"),
        ("workers: auto\n", "teams: {a: {}}"),
    ],
)
def test_other_configurations_are_taken(tmp_path: Path, first: str, rest: str) -> None:
    _ = settings_of(tmp_path, first + DEMO + "auth: none\n" + rest)


def test_auto_is_several_somewhere(tmp_path: Path) -> None:
    problems = wrong_with(tmp_path, "workers: auto\nauth: none\nglobal: {limits: {rpm: 1}}")
    assert [each[:6] for each in problems] == ["1:10: "]
