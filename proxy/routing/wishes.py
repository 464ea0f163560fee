"""What a caller wishes of the targets of one request, from headers or the body's `metadata`.

| wish | header | metadata | means |
|---|---|---|---|
| max_cost | `x-llm-proxy-max-cost` | `max_cost` | USD that it may cost at most |
| max_latency | `x-llm-proxy-max-latency` | `max_latency` | `800ms`, `2s`: until the first token |
| min_quality | `x-llm-proxy-min-quality` | `min_quality` | 0 to 1, as declared |
| fallbacks | `x-llm-proxy-fallbacks` | `fallbacks` | models with commas (or a list); empty: none |
| provider | `x-llm-proxy-provider` | `provider` | this one only |
| residency | `x-llm-proxy-residency` | `residency` | `local` or `cloud` |
| region | `x-llm-proxy-region` | `region` | as the provider declares |
| tier | `x-llm-proxy-tier` | `tier` | targets of this tier only |

A header comes before the body; a header given twice is refused. What cannot be understood is
refused by name: whoever says `max_cost: 5 cents` must not be charged a dollar. Nearly all requests
wish nothing, and find that out without parsing.
"""

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

from proxy.base.errors import BadRequest
from proxy.core.exchange import Incoming
from proxy.wire.body import Body
from proxy.wire.own_fields import WISHES, field

_NANO = 10**9
_MOST_USD = 1_000_000
_LONGEST_NUMBER = 40
_LONGEST_NAME = 256
_MOST_FALLBACKS = 8
_RESIDENCIES = frozenset(("local", "cloud"))
_DECIMAL = re.compile(r"(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,2})?", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)?", re.ASCII)
_SECONDS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Wishes(NamedTuple):
    """None: nothing is wished. Money in nano-USD, time in seconds."""

    max_cost: int | None = None
    max_latency: float | None = None
    min_quality: float | None = None
    fallbacks: tuple[str, ...] | None = None
    provider: str | None = None
    residency: str | None = None
    region: str | None = None
    tier: int | None = None


def wishes_of(incoming: Incoming, body: Body | None) -> Wishes | None:
    """What is wished, or None. Raises BadRequest for what cannot be understood."""
    headers = incoming.headers
    for name in _HEADERS:
        if name in headers:
            break
    else:
        if body is None or "metadata" not in body:
            return None
    said = (body.object("metadata") if body is not None and "metadata" in body else None) or {}
    found: dict[str, object] = {}
    for name, header, read in _WISHES:
        value: object = headers.get(header)
        if value is not None:
            _refuse_twice(incoming, header)
            found[name] = read(value, header)
        elif (value := said.get(name)) is not None:
            found[name] = read(value, f"metadata.{name}")
    return Wishes(**found) if found else None  # type: ignore[arg-type]


def _refuse_twice(incoming: Incoming, header: str) -> None:
    wanted = header.encode("ascii")
    if sum(name.lower() == wanted for name, _ in incoming.raw_headers) > 1:
        raise BadRequest(
            f"the header `{header}` is given twice", code="duplicate_header", param=header
        )


def _refused(param: str, must: str) -> BadRequest:
    return BadRequest(f"`{param}` must be {must}", code="invalid_value", param=param)


def _cost(value: object, param: str) -> int:
    text = _numeral(value)
    if len(text) <= _LONGEST_NUMBER and _DECIMAL.fullmatch(text):
        usd = Decimal(text)
        if usd <= _MOST_USD:
            return int((usd * _NANO).to_integral_value(ROUND_FLOOR))
    raise _refused(param, f"an amount in USD such as 0.05, {_MOST_USD} at most")


def _latency(value: object, param: str) -> float:
    match = _DURATION.fullmatch(_numeral(value))
    if match is None or not float(match[1]):
        raise _refused(param, "a duration above 0 such as 800ms or 2s")
    return float(match[1]) * _SECONDS[match[2]]


def _quality(value: object, param: str) -> float:
    text = _numeral(value)
    quality = float(text) if len(text) <= _LONGEST_NUMBER and _DECIMAL.fullmatch(text) else -1.0
    if not 0 <= quality <= 1:
        raise _refused(param, "a number from 0 to 1")
    return quality


def _fallbacks(value: object, param: str) -> tuple[str, ...]:
    names = value.split(",", _MOST_FALLBACKS + 1) if isinstance(value, str) else value
    must = f"at most {_MOST_FALLBACKS} names of models with commas between them"
    if not isinstance(names, list):
        raise _refused(param, must)
    found = [name for each in names if (name := _plain(each, param, must))]
    if len(found) > _MOST_FALLBACKS:
        raise _refused(param, must)
    return tuple(dict.fromkeys(found))


def _name(value: object, param: str) -> str:
    must = "a name"
    name = _plain(value, param, must)
    if not name:
        raise _refused(param, must)
    return name


def _plain(value: object, param: str, must: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not value.isprintable():
        raise _refused(param, must)
    return value.strip()


def _residency(value: object, param: str) -> str:
    if isinstance(value, str) and value in _RESIDENCIES:
        return value
    raise _refused(param, "`local` or `cloud`")


def _tier(value: object, param: str) -> int:
    text = _numeral(value)
    if len(text) == 1 and text in "123456789":
        return int(text)
    raise _refused(param, "a whole number from 1 to 9")


def _numeral(value: object) -> str:
    """The text of a number; numbers of JSON come as numbers."""
    if isinstance(value, str):
        return value.strip()
    return repr(value) if isinstance(value, int | float) else ""


_READERS: Mapping[str, Callable[[object, str], object]] = {
    "max_cost": _cost,
    "max_latency": _latency,
    "min_quality": _quality,
    "fallbacks": _fallbacks,
    "provider": _name,
    "residency": _residency,
    "region": _name,
    "tier": _tier,
}


_WISHES = tuple((name, field(name), _READERS[name]) for name in WISHES)
_HEADERS = tuple(header for _, header, _ in _WISHES)
