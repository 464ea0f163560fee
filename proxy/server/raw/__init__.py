"""The second HTTP server: asyncio's protocol and httptools' parser, nothing between (ADR 0020)."""
