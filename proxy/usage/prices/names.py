"""One model, many spellings: what else a name may be written as, most exact first.

    gpt-4o-2026-01-31, gpt-4o-20260131    a dated edition costs what the model costs
    models/gemini-3-pro                   Gemini's paths
    us.anthropic.claude-…-v1:0            Bedrock's regions and versions; ARNs
    claude-…@20260131                     Vertex's editions
    openai/gpt-4o:nitro                   OpenRouter's ways to choose a host

Only what does not change the price is taken off: not `ft:`, not `:free`, not `global.`.
"""

import re
from collections.abc import Callable, Iterator

LONGEST = 256
"""No model's name is longer; what is, is not looked up."""

VENDORS_AT_OPENROUTER = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "x-ai": "x-ai",
    "mistralai": "mistral",
    "cohere": "cohere",
    "perplexity": "perplexity",
}
"""Whose list prices OpenRouter passes on: its prefixes, as providers of the catalogue."""

_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$", re.ASCII)
_DATE = re.compile(r"[-@](?:20\d\d-\d\d-\d\d|20\d{6})$|@[\w.-]+$", re.ASCII)
_REGION = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|ca|in|sa)\.")
_BEDROCK_VERSION = re.compile(r"-v\d+(?::\d+)?(?::\d+k)?$|:\d+(?::\d+k)?$", re.ASCII)
_ROUTING = re.compile(r":(?:nitro|floor|exacto|beta|thinking)$")


def spellings(provider: str, model: str) -> Iterator[str]:
    """The name in lower case, then what it may stand for at this provider."""
    name = model.strip().lower()
    seen = {name}
    yield name
    for change in (_bare, *_OF_PROVIDER.get(provider, ()), _dashed, _undated):
        name = change(name)
        if name and name not in seen:
            seen.add(name)
            yield name


def _bare(name: str) -> str:
    """Without the path of a resource: models/x, publishers/google/models/x, ARNs."""
    if name.startswith("arn:"):
        return name.rpartition("/")[2]
    _, found, rest = f"/{name}".rpartition("/models/")
    return rest if found else name


def _dashed(name: str) -> str:
    return _COMPACT_DATE.sub(r"-\1-\2-\3", name)


def _undated(name: str) -> str:
    return _DATE.sub("", name)


def _unversioned(name: str) -> str:
    return _BEDROCK_VERSION.sub("", name)


def _regionless(name: str) -> str:
    return _REGION.sub("", name)


def _unrouted(name: str) -> str:
    return _ROUTING.sub("", name)


_OF_PROVIDER: dict[str, tuple[Callable[[str], str], ...]] = {
    "aws": (_regionless, _unversioned),
    "openrouter": (_unrouted,),
}
