"""The command line. Each subcommand imports what it needs when it runs, so `--help` is instant.

Exit codes: 0 clean, 1 failure at run time, 2 bad configuration or usage.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = _parser().parse_args(arguments)
    match given.command:
        case "serve":
            from proxy.cli.serve import serve  # noqa: PLC0415

            return serve(given.config, given.env)
        case "check":
            from proxy.cli.check import check  # noqa: PLC0415

            return check(given.file, given.env)
        case _:
            from proxy.processes.release import NAME, release  # noqa: PLC0415

            sys.stdout.write(f"{NAME} {release()}\n")
            return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llm-proxy", description="A reverse proxy that speaks the OpenAI API."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the proxy")
    serve.add_argument(
        "--config", type=Path, metavar="FILE", help="the configuration (default: ./config.yaml)"
    )
    _add_environment(serve)

    check = commands.add_parser("check", help="validate a configuration and print what it does")
    check.add_argument("file", type=Path, metavar="FILE")
    _add_environment(check)

    commands.add_parser("version", help="print the version")
    return parser


def _add_environment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--env", metavar="NAME", help="overlay `environments: NAME` (default: LLM_PROXY_ENV)"
    )


if __name__ == "__main__":
    sys.exit(main())
