"""`llm-proxy explain`: what would become of a request, without sending it.

Nothing has to run and nothing is opened: the configuration is built as a worker builds it, and the
request goes through the same steps (build/explain.py). `--replay` asks the same of recorded
traffic: explain_replay.py.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from proxy.base.errors import ProxyError
from proxy.base.jsonio import pretty
from proxy.base.redact import redact
from proxy.build.explain import CHAT_PATH, Asked, Explainer, configured_caller
from proxy.cli.configured import BAD_CONFIGURATION, settings_of
from proxy.cli.explain_text import lines
from proxy.config.near import nearest
from proxy.config.settings import Settings
from proxy.core.caller import Caller

EXAMPLE = (
    b'{"model": "auto", "messages": [{"role": "user",'
    b' "content": "What is the capital of France?"}]}'
)
_LARGEST = 64 * 1024 * 1024


class BadUsage(Exception):
    """What was asked for makes no sense; the words say why."""


def explain(given: argparse.Namespace) -> int:
    """Print it. 1: files cannot be used; 2: bad usage or configuration."""
    if given.replay is not None:
        from proxy.cli.explain_replay import replay  # noqa: PLC0415 - it needs the store.

        return replay(given)
    settings = settings_of(given.config, given.env)
    if settings is None:
        return BAD_CONFIGURATION
    try:
        asked = _asked(given, settings)
        who = _caller(settings, given.key)
        _print(settings, asked, who, given)
    except (BadUsage, ProxyError) as error:
        sys.stderr.write(f"llm-proxy: {redact(str(error))}\n")
        return BAD_CONFIGURATION
    except OSError as error:
        sys.stderr.write(f"llm-proxy: {error}\n")
        return 1
    return 0


def _print(settings: Settings, asked: Asked, who: Caller | None, given: argparse.Namespace) -> None:
    explainer = Explainer(settings)
    try:
        found = asyncio.run(explainer.explain(asked, who))
    finally:
        explainer.close()
    try:
        if given.json:
            sys.stdout.write(pretty(found).decode() + "\n")
        else:
            sys.stdout.writelines(f"{line}\n" for line in lines(found))
        sys.stdout.flush()
    except BrokenPipeError:  # Whoever reads has seen enough, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _asked(given: argparse.Namespace, settings: Settings) -> Asked:
    if given.other is not None:
        raise BadUsage("--with goes with --replay")
    path = given.path or CHAT_PATH
    fields = tuple(_field(text) for text in given.header or ())
    if given.file is None:
        sys.stderr.write(
            "llm-proxy: no request was given (-f FILE); explaining a tiny one, with the model "
            f"`{_example_model(settings)}`\n"
        )
        body = EXAMPLE.replace(b'"auto"', b'"%b"' % _example_model(settings).encode())
        return Asked(body, CHAT_PATH, fields)
    return Asked(_read(given.file), path, fields)


def _example_model(settings: Settings) -> str:
    """`auto` where rules could answer it, else the first that can be asked for by name."""
    if settings.rules:
        return "auto"
    return next((name for name in settings.models if "*" not in name), "auto")


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read(_LARGEST)
    return file.read_bytes()


def _field(text: str) -> tuple[str, str]:
    name, sign, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not (sign and name and value and text.isascii() and text.isprintable()):
        raise BadUsage("--header must be 'NAME: VALUE', such as 'x-llm-proxy-max-cost: 0.05'")
    return name, value


def _caller(settings: Settings, name: str | None) -> Caller | None:
    """Who asks; None where nobody has to say."""
    if settings.auth == "none":
        if name is not None:
            sys.stderr.write("llm-proxy: `auth: none`: every caller is anonymous, whatever --key\n")
        return None
    names = [key.name for key in settings.keys]
    if name is None:
        if len(names) != 1:
            raise BadUsage(f"say who asks with --key NAME{_known(names)}")
        (name,) = names
    found = configured_caller(settings, name)
    if found is None:
        near = nearest(name, names)
        hint = f"; did you mean `{near}`?" if near else _known(names)
        raise BadUsage(
            f"the configuration has no key named `{name[:100]}`{hint} (keys of the store: "
            "POST /admin/routing/explain knows them)"
        )
    return found


def _known(names: list[str]) -> str:
    return f"; there are {', '.join(names[:20])}" if names else ""
