"""How an OpenAI-compatible vendor is asked whether it is well: its list of models, or one token."""

import msgspec

from proxy.core.outgoing import Outgoing
from proxy.core.ports import RawHeaders
from proxy.core.target import Provider

PROMPT_TOKENS = 32
"""More than the question has with any tokeniser, whatever the vendor adds to it."""

MOST_OUTPUT = 1

_JSON = ((b"content-type", b"application/json"), (b"accept-encoding", b"identity"))
_REASONING = ("o1", "o3", "o4", "gpt-5")


def models(provider: Provider) -> Outgoing:
    """Ask for the list of models."""
    return Outgoing("GET", f"{provider.base_path}/models", _headers(provider), b"")


def completion(provider: Provider, model: str) -> Outgoing:
    """Ask for one token."""
    cap = "max_completion_tokens" if model.startswith(_REASONING) else "max_tokens"
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], cap: MOST_OUTPUT}
    target = f"{provider.base_path}/chat/completions"
    return Outgoing("POST", target, _headers(provider), msgspec.json.encode(body))


def _headers(provider: Provider) -> RawHeaders:
    ours = (field for field in _JSON if field[0] not in provider.replaced)
    return (*ours, *provider.headers)
