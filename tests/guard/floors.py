"""Who may import whom, and where each third-party library lives: docs/architecture.md as data."""

# From the top. Packages on one floor do not import each other: they meet in core/ports.py.
FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "cli",
        "processes",
        "app control_plane",
        "server admin",
        "build",
        "middleware identity routing limits providers upstream stores demo usage telemetry alerts"
        " prompts evals",
        "core config",
        "wire",
        "base",
    )
)
HEIGHT = {name: -depth for depth, names in enumerate(FLOORS) for name in names}

HOMES: dict[str, tuple[str, ...]] = {
    "aiohttp": ("proxy/server/", "proxy/admin/", "proxy/telemetry/otlp_http.py"),
    "aiosignal": (),
    "asyncpg": ("proxy/stores/postgres/",),
    "cel_expr_python": ("proxy/routing/expression.py",),
    "cryptography": ("proxy/identity/",),
    "frozenlist": (),
    "google": ("proxy/telemetry/",),
    "grpc": ("proxy/telemetry/otlp_grpc.py",),
    "multidict": ("proxy/server/", "proxy/admin/"),
    "yarl": ("proxy/server/", "proxy/admin/"),
    "aiohappyeyeballs": ("proxy/upstream/",),
    "hiredis": ("proxy/stores/redis/",),
    "httptools": ("proxy/upstream/", "proxy/server/raw/"),
    "joserfc": ("proxy/identity/",),
    "msgspec": ("proxy/wire/", "proxy/providers/", "proxy/stores/", "proxy/usage/"),
    "opentelemetry": ("proxy/telemetry/",),
    "orjson": ("proxy/base/jsonio.py",),
    "tiktoken": ("proxy/usage/tokens/",),
    "pydantic": ("proxy/config/", "proxy/admin/"),
    "pydantic_core": ("proxy/config/", "proxy/admin/"),
    "uvloop": ("proxy/processes/worker.py",),
    "watchfiles": ("proxy/config/watch.py",),
    "yaml": ("proxy/config/",),
}

# Sockets are touched where bytes come in, where they go out, and where processes pass them on.
SYSTEM_HOMES: dict[str, tuple[str, ...]] = {
    "socket": ("proxy/server/", "proxy/upstream/", "proxy/processes/", "proxy/app.py"),
    "ssl": ("proxy/server/", "proxy/upstream/", "proxy/stores/redis/", "proxy/app.py"),
    "sqlite3": ("proxy/stores/directory/",),
    "subprocess": ("proxy/processes/",),
    "multiprocessing": (),
    "threading": ("proxy/processes/logs.py",),  # Only its hook for errors that nobody caught.
    "concurrent": ("proxy/usage/tokens/",),
}
