"""Files and environment → one checked Snapshot, or every problem with its place.

    read → include → choose environment → fill in variables → known keys → files → agree → settings

A file that cannot be read to its end stops the load after reading, since all else would be guesses.
From there on every stage adds its problems and goes on.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from proxy.config.checks import check
from proxy.config.expressions import Judge, judged
from proxy.config.files import beside
from proxy.config.include import Sources
from proxy.config.interpolate import fill_section
from proxy.config.keys import known_only
from proxy.config.overlay import choose, process_environment, proxies_from
from proxy.config.problems import ConfigError, Problem
from proxy.config.refusals import refusals
from proxy.config.scalars import Blank
from proxy.config.schema import keys_of
from proxy.config.settings import Settings
from proxy.config.snapshot import Snapshot
from proxy.config.tree import Loc, plain_data


def load(
    path: Path,
    *,
    environment: str | None = None,
    env: Mapping[str, str] | None = None,
    judge: Judge | None = None,
) -> Snapshot:
    """Load a configuration. Raises ConfigError.

    `environment`: which of `environments` lies on top; None: what LLM_PROXY_ENV says, or none.
    `env`: the variables to read instead of this process's.
    `judge`: who knows whether the expressions of rules can be used; None: they are not judged.
    """
    env = process_environment() if env is None else env
    sources = Sources(env)
    problems = sources.problems
    tree = sources.load(path)
    if not sources.complete:
        raise ConfigError(_in_order(problems, sources.files))
    shape = keys_of(Settings)
    tree, others = choose(tree, environment, env, problems)
    for other in others:
        known_only(other, shape, problems)
    tree = beside(known_only(fill_section(tree, env, problems), shape, problems), problems)
    problems += check(tree)
    if judge is not None:
        problems += judged(tree, judge)
    data = plain_data(tree)
    origins = _put_proxies(data, env)
    _put_data_dir(data, path)
    settings = None
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        problems += refusals(error, tree, origins)
    if problems or settings is None:
        # Raised outside of the handler: a traceback must not lead back to the values.
        raise ConfigError(_in_order(problems, sources.files))
    return Snapshot.of(settings, tuple(sources.files))


def _put_proxies(data: dict[str, Any], env: Mapping[str, str]) -> dict[Loc, str]:
    """Take from the environment what `proxies` leaves open; gives variables by location."""
    written = data.get("proxies") or {}
    if not isinstance(written, dict):
        return {}
    found = {k: v for k, v in proxies_from(env).items() if k not in written}
    data["proxies"] = {**written, **{key: value for key, (_, value) in found.items()}}
    return {("proxies", key): variable for key, (variable, _) in found.items()}


def _put_data_dir(data: dict[str, Any], path: Path) -> None:
    """Where nothing says where data is kept, it is beside the file that was asked for."""
    if data.get("data_dir") is None or isinstance(data["data_dir"], Blank):
        data["data_dir"] = str(path.parent.absolute() / Settings.model_fields["data_dir"].default)


def _in_order(problems: Iterable[Problem], files: Iterable[Path]) -> list[Problem]:
    """Each once, by file as read, then by place."""
    rank = {file: index for index, file in enumerate(files)}
    return sorted(
        dict.fromkeys(problems),
        key=lambda p: (rank.get(p.file, len(rank)), p.line, p.column),
    )
