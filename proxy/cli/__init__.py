"""The command llm-proxy."""
