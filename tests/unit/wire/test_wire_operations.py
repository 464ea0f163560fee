"""Every path of OpenAI's published API resolves; model operations to theirs, the rest passes."""

from pathlib import Path

import pytest

from proxy.wire import operations
from proxy.wire.operations import CHAT, MODELS, PASSTHROUGH, WITH_MODEL, find

DATA = Path(__file__).parents[2] / "data" / "openai_paths.txt"
BY_PATH = {operation.path: operation for operation in WITH_MODEL}
OPENAI = [tuple(line.split(" ")) for line in DATA.read_text(encoding="utf-8").splitlines()]


def filled(path: str) -> str:
    return "/".join("x_1" if part.startswith("{") else part for part in path.split("/"))


def expected(method: str, path: str) -> operations.Operation:
    if method == "POST" and path in BY_PATH:
        return BY_PATH[path]
    if method == "GET" and path.startswith("/models"):
        return MODELS
    return PASSTHROUGH


@pytest.mark.parametrize("prefix", ["/v1", ""])
def test_every_published_path_resolves(prefix: str) -> None:
    wrong = {
        (method, path): found
        for method, template in OPENAI
        if (path := filled(template))
        and (found := find(method, prefix + path)) != (expected(method, path), path)
    }
    # `/content_provenance_checks` and whatever comes next are reached with /v1 in front.
    assert {path for _, path in wrong} <= ({"/content_provenance_checks"} if not prefix else set())


def test_the_list_is_whole() -> None:
    assert len(OPENAI) > 250
    published = {path for _, path in OPENAI}
    assert {op.path for op in WITH_MODEL} - published == {"/rerank"}  # Not OpenAI's own.


@pytest.mark.parametrize("operation", WITH_MODEL, ids=lambda op: op.name)
def test_operations_with_a_model_are_post_only(operation: operations.Operation) -> None:
    assert find("POST", "/v1" + operation.path) == (operation, operation.path)
    assert find("GET", "/v1" + operation.path) == (PASSTHROUGH, operation.path)


@pytest.mark.parametrize(
    ("method", "path", "below"),
    [
        ("GET", "/v1/models", "/models"),
        ("GET", "/models", "/models"),
        ("GET", "/v1/models/openai%2Fgpt-4o", "/models/openai%2Fgpt-4o"),
        ("GET", "/v1/models/a/b", "/models/a/b"),
    ],
)
def test_models(method: str, path: str, below: str) -> None:
    assert find(method, path) == (MODELS, below)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("/favicon.ico", "/", "", "/v1", "/v1/", "/v2/models")),
        *(("POST", path) for path in ("/admin", "/v1chat/completions", "chat/completions")),
        ("GET", "*"),
    ],
)
def test_what_is_not_of_the_api_is_unknown(method: str, path: str) -> None:
    assert find(method, path) is None


@pytest.mark.parametrize(
    ("method", "path", "below"),
    [
        ("DELETE", "/v1/models/ft:gpt", "/models/ft:gpt"),
        ("PATCH", "/v1/something/new", "/something/new"),
        ("POST", "/v1/chat/completions/", "/chat/completions/"),
        ("GET", "/v1/modelsx", "/modelsx"),
        ("BREW", "/v1/files", "/files"),
    ],
)
def test_everything_else_below_v1_passes(method: str, path: str, below: str) -> None:
    assert find(method, path) == (PASSTHROUGH, below)


def test_only_chat_and_completions_must_be_asked_for_usage() -> None:
    assert [op.name for op in WITH_MODEL if op.can_ask_usage] == ["chat", "completions"]
    assert CHAT.has_usage
