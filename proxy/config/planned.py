"""The parts of the configuration language that this version does not have yet.

One visible table. Whoever builds a part deletes its row; until then its keys are refused by name,
so that nobody believes in a limit that is not kept. `*` stands for any one name or list index.
"""

NOT_BUILT = "part of the configuration language but not built in this version"

PLANNED = {
    "compat": "headers for other gateways' clients",
    "rules": "routing rules",
    "agents.*.model": "models of agents",
    "agents.*.fallback": "fallback of agents",
    "agents.*.parameters": "parameters of agents",
    "agents.*.context": "context of agents",
    "cache": "the response cache",
    "idempotency": "idempotency keys",
    "plugins": "plugins",
    "providers.*.health": "health probes",
    "providers.*.region": "regions",
    "providers.*.residency": "data residency",
    "models.*.score": "scores of the strategy `score`",
    "models.*.quality": "quality of a model",
    "models.*.retry": "retries on the same target",
    "models.*.fallback": "fallback to other models",
    "models.*.rescue": "rescue of cut streams",
    "models.*.hedge": "hedged requests",
    "models.*.breaker": "circuit breakers",
    "models.*.parameters": "defaults and limits of parameters",
    "models.*.capabilities": "capabilities of a model",
    "models.*.context_window": "context windows",
    "models.*.status": "status of a model",
    "models.*.tags": "tags of a model",
    "models.*.targets.*.tier": "tiers of targets",
    "models.*.targets.*.quality": "quality of a target",
}

PLANNED_KINDS = (
    "azure", "anthropic", "gemini", "vertex", "bedrock", "cohere", "mistral", "groq", "xai",
    "perplexity", "deepseek", "together", "fireworks", "openrouter", "ollama", "lmstudio", "vllm",
    "llamacpp",
)  # fmt: skip

PLANNED_STRATEGIES = ("round_robin", "least_busy", "latency", "cost", "sticky", "score")


def planned(loc: tuple[str | int, ...]) -> str | None:
    """What the key at `loc` will be for, or None when it is no planned key."""
    for pattern, purpose in PLANNED.items():
        steps = pattern.split(".")
        if len(steps) == len(loc) and all(
            want in ("*", step) for want, step in zip(steps, loc, strict=True)
        ):
            return purpose
    return None
