"""The options of `llm-proxy explain`; apart from what it does, so that `--help` stays instant."""

import argparse
from collections.abc import Callable
from pathlib import Path


def add_parser(explain: argparse.ArgumentParser, configure: Callable[..., None]) -> None:
    """The options. `configure` adds those that name the configuration."""
    explain.add_argument(
        "-f", "--file", type=Path, metavar="FILE", help="the request's body, as JSON; -: stdin"
    )
    explain.add_argument("--key", metavar="NAME", help="who asks: the name of a key")
    explain.add_argument(
        "--header",
        action="append",
        metavar="'NAME: VALUE'",
        help="a header field of the request, such as 'x-llm-proxy-max-cost: 0.05'; may be repeated",
    )
    explain.add_argument(
        "--path", metavar="PATH", help="where it is sent (default: /v1/chat/completions)"
    )
    explain.add_argument(
        "--replay",
        metavar="TIME",
        help="instead: recorded requests since 24h, 7d, today, 2026-11-01, by these rules",
    )
    explain.add_argument(
        "--with",
        type=Path,
        dest="other",
        metavar="FILE",
        help="with --replay: the configuration whose rules are tried (default: the same)",
    )
    explain.add_argument("--json", action="store_true", help="print JSON (docs/explain.md)")
    configure(explain)
