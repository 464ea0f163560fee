"""What the documents show of a configuration is accepted, as `llm-proxy check` reads it."""

import re
from pathlib import Path

import pytest

from proxy.build.plan import describe
from proxy.config.load import load

ROOT = Path(__file__).parents[3]


def _shown(document: str) -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)


SNIPPETS = _shown("docs/resilience.md")
BASE = """
listen: 127.0.0.1:0
keys: [{name: one, key: sk-one}]
providers:
  openai: {kind: openai, api_keys: [sk-vendor]}
  azure: {kind: openai, base_url: "https://azure.test/v1", api_keys: [sk-vendor]}
  house: {kind: openai, base_url: "http://house.test/v1"}
models:
  chat-small: {targets: [{provider: house, model: llama}]}
"""


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 6


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_is_a_configuration(snippet: str, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    path = tmp_path / "config.yaml"
    path.write_text(f"include: [base.yaml]\n{snippet}")
    settings = load(path, env={}).settings
    shown = re.findall(r"^\w+:$", snippet, re.M)
    assert set(shown) <= {"models:", "providers:"}
    assert describe(settings)
    models = {"chat-small", "chat"} if "  chat:\n" in snippet else {"chat-small"}
    assert set(settings.models) == models  # Nothing of it is taken for a comment.


def test_a_model_for_each_use_is_a_configuration(tmp_path: Path) -> None:
    (snippet,) = [each for each in _shown("docs/rules.md") if "name: SQL" in each]
    (tmp_path / "base.yaml").write_text(BASE)
    path = tmp_path / "config.yaml"
    path.write_text(f"include: [base.yaml]\n{snippet}")
    rules = load(path, env={}).settings.rules
    assert [rule.name for rule in rules] == ["SQL", "insights", "code without a name", "all else"]
    assert rules[0].parameters.force == {"temperature": 0}
