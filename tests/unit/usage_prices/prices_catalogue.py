"""A catalogue of a few models, for tests of how prices are found and files are checked."""

from dataclasses import dataclass
from typing import Any

from proxy.usage.prices.catalogue import FORMAT, UNIT, text_of, version_of
from proxy.usage.prices.price import COLUMNS


@dataclass(frozen=True, slots=True)
class Target:
    """What an attempt says of where it went."""

    provider: str
    model: str


def body(date: str = "2030-01-01") -> dict[str, Any]:
    """Its content, with the right version."""
    return stamped(
        {
            "format": FORMAT,
            "version": "",
            "date": date,
            "unit": UNIT,
            "source": "by hand",
            "columns": list(COLUMNS),
            "hosts": [["openai", r"https://api\.openai\.com"], ["google", r".*googleapis\.com"]],
            "fallbacks": {"azure": ["openai"]},
            "models": {
                "openai": [
                    {"id": "one", "periods": [{"rates": [1, 2]}]},
                    {"id": "Two", "names": ["two", "zwei"], "periods": [{"rates": [3, 4]}]},
                    {"id": "early", "match": [["starts", "ea"]], "periods": [{"rates": [5]}]},
                    {"id": "easel", "match": [["contains", "ease"]], "periods": [{"rates": [6]}]},
                    {"id": "unpriced", "match": [["starts", "unp"]], "periods": []},
                ],
                "azure": [{"id": "own", "periods": [{"rates": [7]}]}],
                "aws": [
                    {"id": "anthropic.claude", "periods": [{"rates": [8]}]},
                    {"id": "global.anthropic.claude", "periods": [{"rates": [9]}]},
                ],
                "google": [{"id": "gemini", "periods": [{"rates": [10]}]}],
                "openrouter": [{"id": "meta/llama", "periods": [{"rates": [11]}]}],
                "deepseek": [
                    {
                        "id": "night",
                        "context_window": 64,
                        "periods": [
                            {"rates": [20]},
                            {"rates": [21], "from": "2026-01-01"},
                            {"rates": [22], "hours": [1380, 60]},
                        ],
                        "tiers": {"batch": [{"rates": [12], "above": [[100, [13]]]}]},
                    }
                ],
            },
        }
    )


def stamped(content: dict[str, Any]) -> dict[str, Any]:
    """The content with the version that belongs to it."""
    content["version"] = version_of(content)
    return content


def text(date: str = "2030-01-01") -> bytes:
    """Its file."""
    return text_of(body(date))
