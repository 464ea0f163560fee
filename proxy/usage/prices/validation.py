"""Whether a file is a catalogue of prices: all that is wrong with it, each with its place.

Written by hand rather than with a schema library, so that the usage floor needs none. A file that
passes cannot make a lookup fail later: types, ranges, dates, patterns and the version's hash.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from proxy.base.jsonio import JSONError, loads
from proxy.usage.prices.catalogue import FORMAT, UNIT, version_of
from proxy.usage.prices.price import COLUMNS, MOST

_MINUTES = 24 * 60
_LONGEST_NAME = 256
_KNOWN_MODEL = frozenset(("id", "names", "match", "context_window", "periods", "tiers"))
_KNOWN_PERIOD = frozenset(("from", "hours", "rates", "above"))
_RULES = frozenset(("is", "starts", "ends", "contains", "regex", "or", "and"))
_SHOWN = 20


def problems(text: bytes) -> list[str]:
    """What is wrong, at most 20 lines; empty: it is a catalogue."""
    try:
        body = loads(text)
    except JSONError as error:
        return [f"line {error.lineno}, column {error.colno}: {error.msg}"]
    if not isinstance(body, dict):
        return ["it must be one JSON object"]
    found = list(_head(body))
    if not found:
        found = [*_vendors(body), *_models(body)]
    if not found and body["version"] != version_of(body):
        found = [f"version: is {body['version']}, but its content makes it {version_of(body)}"]
    return found[:_SHOWN]


def _head(body: dict[str, Any]) -> Iterator[str]:
    if body.get("format") != FORMAT:
        yield f"format: must be {FORMAT}"
    if body.get("unit") != UNIT:
        yield f"unit: must be {UNIT!r}"
    if body.get("columns") != list(COLUMNS):
        yield f"columns: must be {', '.join(COLUMNS)}"
    if not _is_date(body.get("date")):
        yield "date: must be a date such as 2026-01-31"
    for name in ("version", "source"):
        if not isinstance(body.get(name), str):
            yield f"{name}: must be text"
    for name in ("models", "fallbacks"):
        if not isinstance(body.get(name), dict):
            yield f"{name}: must be an object"
    if not isinstance(body.get("hosts"), list):
        yield "hosts: must be a list"


def _vendors(body: dict[str, Any]) -> Iterator[str]:
    for place, entry in enumerate(body["hosts"]):
        match entry:
            case [str(name), str(pattern)] if name in body["models"]:
                yield from _pattern(f"hosts[{place}]", pattern)
            case _:
                yield f"hosts[{place}]: must be [a vendor under models, a pattern]"
    for name, others in body["fallbacks"].items():
        if not isinstance(others, list) or not all(each in body["models"] for each in others):
            yield f"fallbacks.{name}: must be a list of vendors under models"


def _models(body: dict[str, Any]) -> Iterator[str]:
    for vendor, models in body["models"].items():
        if not isinstance(models, list):
            yield f"models.{vendor}: must be a list"
            continue
        for place, model in enumerate(models):
            at = f"models.{vendor}[{place}]"
            if isinstance(model, dict) and isinstance(model.get("id"), str):
                yield from _model(f"{at} ({model['id'][:_LONGEST_NAME]})", model)
            else:
                yield f"{at}: must be an object with an `id`"


def _model(at: str, model: dict[str, Any]) -> Iterator[str]:
    for key in model.keys() - _KNOWN_MODEL:
        yield f"{at}: `{key}` is not known"
    names = model.get("names", [])
    if not isinstance(names, list) or not all(_is_name(name) for name in names):
        yield f"{at}.names: must be a list of names in lower case"
    rules = model.get("match", [])
    if isinstance(rules, list):
        for place, rule in enumerate(rules):
            yield from _rule(f"{at}.match[{place}]", rule)
    else:
        yield f"{at}.match: must be a list"
    window = model.get("context_window")
    if window is not None and not _is_whole(window):
        yield f"{at}.context_window: must be a whole number"
    yield from _periods(f"{at}.periods", model.get("periods"))
    tiers = model.get("tiers", {})
    if isinstance(tiers, dict):
        for tier, periods in tiers.items():
            yield from _periods(f"{at}.tiers.{tier}", periods)
    else:
        yield f"{at}.tiers: must be an object"


def _periods(at: str, periods: object) -> Iterator[str]:
    if not isinstance(periods, list):
        yield f"{at}: must be a list"
        return
    for place, period in enumerate(periods):
        if isinstance(period, dict):
            yield from _period(f"{at}[{place}]", period)
        else:
            yield f"{at}[{place}]: must be an object"


def _period(at: str, period: dict[str, Any]) -> Iterator[str]:
    for key in period.keys() - _KNOWN_PERIOD:
        yield f"{at}: `{key}` is not known"
    if "from" in period and not _is_date(period["from"]):
        yield f"{at}.from: must be a date such as 2026-01-31"
    match period.get("hours", [0, 0]):
        case [int(start), int(end)] if 0 <= start < _MINUTES and 0 <= end < _MINUTES:
            pass
        case _:
            yield f"{at}.hours: must be two minutes of the day"
    yield from _rates(f"{at}.rates", period.get("rates"))
    above = period.get("above", [])
    last = 0
    for place, step in enumerate(above if isinstance(above, list) else [None]):
        match step:
            case [int(start), list(rates)] if start > last:
                last = start
                yield from _rates(f"{at}.above[{place}]", rates)
            case _:
                yield f"{at}.above[{place}]: must be [a rising number of tokens, rates]"


def _rates(at: str, rates: object) -> Iterator[str]:
    if not isinstance(rates, list) or not 1 <= len(rates) <= len(COLUMNS):
        yield f"{at}: must be a list of 1 to {len(COLUMNS)} rates"
        return
    for column, rate in zip(COLUMNS, rates, strict=False):
        if rate is not None and not (_is_whole(rate) and rate <= MOST):
            yield f"{at}.{column}: must be null or a whole number from 0 to {MOST}"


def _rule(at: str, rule: object) -> Iterator[str]:
    match rule:
        case ["or" | "and", *inner] if inner:
            for place, each in enumerate(inner):
                yield from _rule(f"{at}[{place + 1}]", each)
        case ["regex", str(pattern)]:
            yield from _pattern(at, pattern)
        case [str(kind), str(text)] if kind in _RULES and 0 < len(text) <= _LONGEST_NAME:
            pass
        case _:
            yield f"{at}: must be [{' | '.join(sorted(_RULES))}, text]"


def _pattern(at: str, pattern: str) -> Iterator[str]:
    if len(pattern) > _LONGEST_NAME:
        yield f"{at}: the pattern is too long"
        return
    try:
        re.compile(pattern)
    except re.error as error:
        yield f"{at}: {pattern!r} is no regular expression: {error}"


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name == name.lower()


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_date(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
