"""llm-proxy: an async reverse proxy that speaks the OpenAI wire format."""
