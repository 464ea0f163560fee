"""How many tokens a model can make at once, by the beginning of its name.

From the vendors' model pages (OpenAI, Anthropic, Google), read in November 2026. Where two
beginnings fit, the longer one counts. A model that is not here can make as much as is asked for,
up to its context window.
"""

_MOST = {
    "chatgpt-4o": 16_384,
    "claude-3-": 4_096,
    "claude-3-5-": 8_192,
    "claude-3-7-": 128_000,
    "claude-haiku-4": 64_000,
    "claude-opus-4": 128_000,
    "claude-sonnet-4": 64_000,
    "gemini-1.5": 8_192,
    "gemini-2.0": 8_192,
    "gemini-2.5": 65_536,
    "gemini-3": 65_536,
    "gpt-3.5-turbo": 4_096,
    "gpt-4": 8_192,
    "gpt-4-0125": 4_096,
    "gpt-4-1106": 4_096,
    "gpt-4-turbo": 4_096,
    "gpt-4.1": 32_768,
    "gpt-4.5": 16_384,
    "gpt-4o": 16_384,
    "gpt-5": 128_000,
    "o1": 100_000,
    "o1-mini": 65_536,
    "o1-preview": 32_768,
    "o3": 100_000,
    "o4": 100_000,
}
_LONGEST_FIRST = sorted(_MOST.items(), key=lambda item: len(item[0]), reverse=True)


def most_output(model: str) -> int | None:
    """Tokens, or None where they are not known. What a name has before its last slash is dropped
    (`openai/gpt-4o`), and the region of a Bedrock name (`us.anthropic.claude-…`)."""
    name = model.rpartition("/")[2].lower()
    name = name.rpartition("anthropic.")[2] if "anthropic." in name else name
    return next((most for begin, most in _LONGEST_FIRST if name.startswith(begin)), None)
