"""The options of `llm-proxy keys`; apart from what they do, so that `--help` stays instant."""

import argparse
from collections.abc import Callable
from pathlib import Path

FIELDS = ("team", "user", "project", "agent", "tier", "clearance", "expires")
LISTS = {"tag": "tags", "model": "models", "role": "roles"}
LIMITS = ("rpm", "tpm", "rpd", "tpd", "concurrency")


def add_parser(keys: argparse.ArgumentParser, configure: Callable[..., None]) -> None:
    """The options of all parts. `configure` adds those that name the configuration."""
    parts = keys.add_subparsers(
        dest="part", required=True, metavar="create|list|rotate|revoke|block|unblock"
    )
    create = parts.add_parser("create", help="make a key, and print it once")
    create.add_argument("name", metavar="NAME")
    for name in FIELDS:
        create.add_argument(f"--{name}")
    for name in LISTS:
        create.add_argument(f"--{name}", action="append", help="may be repeated")
    for name in LIMITS:
        create.add_argument(f"--{name}", type=int, metavar="N")
    create.add_argument(
        "--budget", action="append", metavar="USD/PERIOD", help="such as 10/month; may be repeated"
    )
    create.add_argument("--document", type=Path, metavar="FILE", help="all other fields, as JSON")
    create.add_argument("--hash", metavar="HEX", help="take over the key with this SHA-256")
    listed = parts.add_parser("list", help="list the keys of the store")
    listed.add_argument("--team")
    listed.add_argument("--user")
    listed.add_argument("--deleted", action="store_true", help="those that were revoked")
    rotate = parts.add_parser("rotate", help="give a key a new secret, and print it once")
    rotate.add_argument("--grace", help="how long the old one works (default: 24h)")
    revoke = parts.add_parser("revoke", help="refuse a key for ever")
    block = parts.add_parser("block", help="refuse a key until it is unblocked")
    unblock = parts.add_parser("unblock", help="take a blocked key again")
    for part in (rotate, revoke, block, unblock):
        part.add_argument("key", metavar="ID|NAME")
    for part in (create, listed, rotate, revoke, block, unblock):
        part.add_argument("--json", action="store_true", help="print the API's answer")
        configure(part)
