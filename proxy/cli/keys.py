"""`llm-proxy keys`: make, list, rotate, revoke, block and unblock virtual keys of the store.

Each is a call of the admin API of the running proxy, so what is done here is checked and recorded
like any other change. A key is named by its id or its name.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from proxy.admin.key_material import is_id
from proxy.base.clock import wall
from proxy.base.jsonio import JSONError, loads, pretty
from proxy.cli.admin_api import AdminApi, ApiRefused
from proxy.cli.configured import BAD_CONFIGURATION, settings_of
from proxy.cli.keys_options import FIELDS, LIMITS, LISTS

Given = argparse.Namespace

_PATH = "/admin/keys"
_COLUMNS = ("id", "name", "team", "user", "state", "created")
_SAVE_IT = "This is the only time that the key is shown.\n"


def keys(given: Given) -> int:
    """Do it. 1: refused, or nobody there to ask; 2: bad usage or configuration."""
    settings = settings_of(given.config, given.env)
    if settings is None:
        return BAD_CONFIGURATION
    try:
        _PARTS[given.part](AdminApi(settings), given)
    except ApiRefused as error:
        sys.stderr.write(f"llm-proxy: {error}\n")
        return 1
    except _BadUsage as error:
        sys.stderr.write(f"llm-proxy: {error}\n")
        return BAD_CONFIGURATION
    return 0


class _BadUsage(Exception):
    """What was asked for makes no sense."""


def _create(api: AdminApi, given: Given) -> None:
    document = _document(given.document)
    document["name"] = given.name
    for name in (*FIELDS, "hash"):
        if (value := getattr(given, name)) is not None:
            document[name] = value
    for name, field in LISTS.items():
        if (values := getattr(given, name)) is not None:
            document[field] = values
    limits = {name: value for name in LIMITS if (value := getattr(given, name)) is not None}
    if limits:
        document["limits"] = {**document.get("limits", {}), **limits}
    if given.budget:
        document["budgets"] = [_budget(each) for each in given.budget]
    _tell_key(api.ask("POST", _PATH, document), given)


def _document(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        parsed = loads(file.read_bytes())
    except (OSError, JSONError) as error:
        raise _BadUsage(f"{file}: {error}") from error
    if not isinstance(parsed, dict):
        raise _BadUsage(f"{file}: must be a JSON object")
    return parsed


def _budget(text: str) -> dict[str, str]:
    amount, sign, period = text.partition("/")
    if not sign:
        raise _BadUsage(f"--budget {text}: must be USD/PERIOD such as 10/month")
    return {"amount": amount, "period": period}


def _list(api: AdminApi, given: Given) -> None:
    filters = {name: value for name in ("team", "user") if (value := getattr(given, name))}
    if given.deleted:
        filters["deleted"] = "true"
    found = _pages(api, filters)
    if given.json:
        sys.stdout.buffer.write(pretty({"object": "list", "data": list(found)}) + b"\n")
        return
    rows = [_COLUMNS, *(tuple(_cell(key, column) for column in _COLUMNS) for key in found)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _pages(api: AdminApi, filters: dict[str, str]) -> Iterator[dict[str, Any]]:
    query = {"limit": "1000", **filters}
    while True:
        page = api.ask("GET", f"{_PATH}?{urlencode(query)}")
        yield from page["data"]
        if not page["has_more"]:
            return
        query["cursor"] = page["next_cursor"]


def _cell(key: dict[str, Any], column: str) -> str:
    if column == "state":
        return _state(key)
    if column == "created":
        return str(key["created"])[:16]
    return str(key[column] or "-")


def _state(key: dict[str, Any]) -> str:
    if key["deleted"]:
        return "revoked"
    if key["expires"] and datetime.fromisoformat(key["expires"]).timestamp() <= wall():
        return "expired"
    return "blocked" if key["blocked"] else "active"


def _rotate(api: AdminApi, given: Given) -> None:
    content = {"grace": given.grace} if given.grace is not None else {}
    _tell_key(api.ask("POST", f"{_one(api, given)}/rotate", content), given)


def _revoke(api: AdminApi, given: Given) -> None:
    _tell(api.ask("DELETE", _one(api, given), headers={"if-match": "*"}), given, "revoked")


def _block(api: AdminApi, given: Given) -> None:
    _tell(api.ask("POST", f"{_one(api, given)}/block"), given, "blocked")


def _unblock(api: AdminApi, given: Given) -> None:
    _tell(api.ask("POST", f"{_one(api, given)}/unblock"), given, "unblocked")


def _one(api: AdminApi, given: Given) -> str:
    """The path of the key that is meant."""
    if is_id(given.key):
        return f"{_PATH}/{given.key}"
    found = api.ask("GET", f"{_PATH}?{urlencode({'name': given.key})}")["data"]
    if not found:
        raise ApiRefused(
            "the store has no living key of this name; `llm-proxy keys list` shows those it has, "
            "and keys of the configuration are changed there"
        )
    return f"{_PATH}/{found[0]['id']}"


def _tell_key(key: dict[str, Any], given: Given) -> None:
    if given.json:
        sys.stdout.buffer.write(pretty(key) + b"\n")
        return
    secret = key.get("key")
    sys.stderr.write(f"{key['name']} is {key['id']}.\n{_SAVE_IT if secret else ''}")
    if secret:
        sys.stdout.write(f"{secret}\n")


def _tell(key: dict[str, Any], given: Given, done: str) -> None:
    if given.json:
        sys.stdout.buffer.write(pretty(key) + b"\n")
    else:
        sys.stdout.write(f"{key['name']} ({key['id']}) is {done}\n")


_PARTS: dict[str, Callable[[AdminApi, Given], None]] = {
    "create": _create,
    "list": _list,
    "rotate": _rotate,
    "revoke": _revoke,
    "block": _block,
    "unblock": _unblock,
}
