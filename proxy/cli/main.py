"""The command line. Each subcommand imports what it needs when it runs, so `--help` is instant.

Exit codes: 0 clean, 1 failure at run time, 2 bad configuration or usage.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["bench"]:
        from proxy.cli.bench import bench  # noqa: PLC0415

        return bench(words[1:])  # It has options of its own, which are not known here.
    given = _parser().parse_args(arguments)
    if arguments is None:
        _log("supervisor" if given.command == "serve" else "llm-proxy")
    match given.command:
        case "serve":
            from proxy.cli.serve import serve  # noqa: PLC0415

            return serve(given.config, given.env)
        case "check":
            from proxy.cli.check import check  # noqa: PLC0415

            return check(given.file, given.env)
        case "explain":
            from proxy.cli.explain import explain  # noqa: PLC0415

            return explain(given)
        case "usage":
            return _usage(given)
        case "prices":
            return _prices(given)
        case "keys":
            from proxy.cli.keys import keys  # noqa: PLC0415

            return keys(given)
        case "migrate":
            from proxy.cli.migrate import migrate  # noqa: PLC0415

            return migrate(given.config, given.env)
        case _:
            from proxy.processes.release import NAME, compiled, release  # noqa: PLC0415

            sys.stdout.write(f"{NAME} {release()}{' (compiled)' if compiled() else ''}\n")
            return 0


def _log(process: str) -> None:
    """From here on nothing gets to the terminal past the redactor, tracebacks included."""
    from proxy.processes.logs import set_up  # noqa: PLC0415

    set_up(process, level="warning")


def _usage(given: argparse.Namespace) -> int:
    from proxy.usage.report import Asked  # noqa: PLC0415

    if given.part == "dead-letters":
        return _dead_letters(given)
    asked = Asked(tuple(given.by or ()), given.since, given.until, tuple(given.where or ()))
    if given.part == "export":
        if given.by or given.format == "table":
            wrong = "--by" if given.by else "--format table"
            sys.stderr.write(f"llm-proxy: {wrong} is for reports; an export has single records\n")
            return 2
        from proxy.cli.usage_export import export  # noqa: PLC0415

        return export(asked, given.format or "csv", given.config, given.env, content=given.content)
    from proxy.cli.usage import usage  # noqa: PLC0415

    return usage(asked, given.format or "table", given.config, given.env)


def _dead_letters(given: argparse.Namespace) -> int:
    if given.by or given.since or given.until or given.where or given.format == "csv":
        sys.stderr.write("llm-proxy: `usage dead-letters` takes --format table|json and --config\n")
        return 2
    from proxy.cli.usage_dead_letters import dead_letters  # noqa: PLC0415

    return dead_letters(given.action, given.format or "table", given.config, given.env)


def _prices(given: argparse.Namespace) -> int:
    from proxy.cli.configured import BAD_CONFIGURATION, DEFAULT, settings_of  # noqa: PLC0415
    from proxy.cli.prices import show, update  # noqa: PLC0415

    data_dir = None
    if given.part == "update" or given.config is not None or DEFAULT.exists():
        settings = settings_of(given.config, given.env)
        if settings is None:
            return BAD_CONFIGURATION
        data_dir = settings.data_dir
    if given.part == "update":
        assert data_dir is not None
        return update(given.file, data_dir)
    return show(given.model, given.provider, given.format, data_dir)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llm-proxy", description="A reverse proxy that speaks the OpenAI API."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the proxy")
    _add_configuration(serve)

    check = commands.add_parser("check", help="validate a configuration and print what it does")
    check.add_argument("file", type=Path, metavar="FILE")
    _add_environment(check)

    _add_explain(commands.add_parser("explain", help="what would become of a request, and why"))
    _add_usage(commands.add_parser("usage", help="what was used, by whom, and what it cost"))
    _add_prices(commands.add_parser("prices", help="look at the prices, bring newer ones"))
    _add_keys(commands.add_parser("keys", help="virtual keys of the store"))
    migrate = commands.add_parser("migrate", help="bring the schema of the store up to date")
    _add_configuration(migrate)

    commands.add_parser("bench", help="measure any OpenAI-compatible server", add_help=False)
    commands.add_parser("version", help="print the version")
    return parser


def _add_explain(explain: argparse.ArgumentParser) -> None:
    from proxy.cli.explain_options import add_parser  # noqa: PLC0415

    add_parser(explain, _add_configuration)


def _add_usage(usage: argparse.ArgumentParser) -> None:
    usage.add_argument(
        "--by",
        action="append",
        metavar="NAMES",
        help="model (default), team, key, user, project, tag, provider, operation, hour, day; "
        "several with commas",
    )
    usage.add_argument("--format", choices=("table", "csv", "json"), help="default: table")
    _add_period(usage, None)
    usage.set_defaults(part=None)
    parts = usage.add_subparsers(metavar="[export | dead-letters]")
    export = parts.add_parser("export", help="single records, a line each", allow_abbrev=False)
    # What stands before the word `export` holds unless it is said again behind it.
    export.add_argument(
        "--format", choices=("csv", "json"), default=argparse.SUPPRESS, help="default: csv"
    )
    export.add_argument(
        "--content",
        action="store_true",
        help="prompts and answers too, where `telemetry.content: full` kept them",
    )
    _add_period(export, argparse.SUPPRESS)
    export.set_defaults(part="export")
    dead = parts.add_parser(
        "dead-letters", help="records that the store refused", allow_abbrev=False
    )
    dead.add_argument("action", nargs="?", choices=("list", "replay"), default="list")
    dead.add_argument("--format", choices=("table", "json"), default=argparse.SUPPRESS)
    _add_configuration(dead, argparse.SUPPRESS)
    dead.set_defaults(part="dead-letters")


def _add_period(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument(
        "--since",
        metavar="TIME",
        default=default,
        help="12h, 7d (default), today, 2026-11-01, 2026-11-01T13:00Z; UTC",
    )
    parser.add_argument("--until", metavar="TIME", default=default, help="the same; default: now")
    parser.add_argument(
        "--where",
        action="append",
        metavar="NAME=VALUE",
        default=default,
        help="only these, such as model=gpt-4o; may be repeated",
    )
    _add_configuration(parser, default)


def _add_prices(prices: argparse.ArgumentParser) -> None:
    parts = prices.add_subparsers(dest="part", required=True, metavar="show|update")
    show = parts.add_parser("show", help="print prices in USD per million tokens")
    show.add_argument("model", nargs="?", metavar="MODEL", help="default: all")
    show.add_argument("--provider", metavar="NAME", help="a vendor (default: all)")
    show.add_argument("--format", choices=("table", "json"), default="table")
    _add_configuration(show)
    update = parts.add_parser("update", help="take a newer catalogue into use")
    update.add_argument("--file", type=Path, required=True, metavar="FILE")
    _add_configuration(update)


def _add_keys(keys: argparse.ArgumentParser) -> None:
    from proxy.cli.keys_options import add_parser  # noqa: PLC0415

    add_parser(keys, _add_configuration)


def _add_configuration(parser: argparse.ArgumentParser, default: object = None) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=default,
        help="the configuration (default: ./config.yaml)",
    )
    _add_environment(parser, default)


def _add_environment(parser: argparse.ArgumentParser, default: object = None) -> None:
    parser.add_argument(
        "--env",
        metavar="NAME",
        default=default,
        help="overlay `environments: NAME` (default: LLM_PROXY_ENV)",
    )


if __name__ == "__main__":
    sys.exit(main())
