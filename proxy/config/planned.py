"""The parts of the configuration language that this version does not have yet.

One visible table. Whoever builds a part deletes its row; until then its keys are refused by name,
so that nobody believes in a limit that is not kept. `*` stands for any one name or list index.
"""

NOT_BUILT = "part of the configuration language but not built in this version"

PLANNED = {
    "compat": "headers for other gateways' clients",
    "rules.*.cache": "the cache policy of a rule",
    "rules.*.guardrails": "the guardrails of a rule",
    "cache": "the response cache",
    "idempotency": "idempotency keys",
    "plugins": "plugins",
}

PLANNED_KINDS = (
    "azure", "anthropic", "gemini", "vertex", "bedrock", "cohere", "mistral", "groq", "xai",
    "perplexity", "deepseek", "together", "fireworks", "openrouter", "ollama", "lmstudio", "vllm",
    "llamacpp",
)  # fmt: skip


def planned(loc: tuple[str | int, ...]) -> str | None:
    """What the key at `loc` will be for, or None when it is no planned key."""
    for pattern, purpose in PLANNED.items():
        steps = pattern.split(".")
        if len(steps) == len(loc) and all(
            want in ("*", step) for want, step in zip(steps, loc, strict=True)
        ):
            return purpose
    return None
