"""`llm-proxy bench`: load, measures and reports for any OpenAI-compatible URL (docs/bench.md)."""
