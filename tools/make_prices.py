"""Make proxy/usage/prices/catalogue.json from genai-prices (MIT), at development time only.

    pip install --target DIR genai-prices
    python -m tools.make_prices --library DIR --date 2026-11-20

Its rules for names are kept in its order, so that the catalogue finds what the library finds; its
prices become integers. A price that is no whole number of nano-USD per million tokens (the noise of
somebody's floats) is rounded half to even. Models that are priced by what no usage tells (pages,
characters) and those without a price are left out. docs/prices.md describes the result.
"""

import argparse
import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from proxy.usage.prices.catalogue import BUNDLED, FORMAT, UNIT, text_of, version_of
from proxy.usage.prices.price import COLUMNS, NANO
from proxy.usage.prices.validation import problems

_KILO = 1000
_COLUMN_OF = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_input",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "output_image_mtok": "image_output",
    "requests_kcount": "request",
    "web_searches_kcount": "search",
    "audio_hours": "audio_hour",
    "input_audio_hours": "audio_hour",
}
_CONTEXTS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
# Free by the vendor's own word; others without a price are unknown.
_FREE = {"openai": ("moderation",), "google": ("gemma-3", "gemma-3n")}
_MORE_HOSTS = {"together": r"https://api\.together\.ai"}


def rule(match: Any) -> list[Any]:
    """A library's matching clause as nested lists: ["starts", "gpt-4o-audio"]."""
    kind = type(match).__name__.removeprefix("Clause")
    match kind:
        case "Or":
            return ["or", *map(rule, match.or_)]
        case "And":
            return ["and", *map(rule, match.and_)]
        case "Equals":
            return ["is", match.equals.lower()]
        case "StartsWith":
            return ["starts", match.starts_with.lower()]
        case "EndsWith":
            return ["ends", match.ends_with.lower()]
        case "Contains":
            return ["contains", match.contains.lower()]
        case _:
            return ["regex", match.regex]


def naming(provider: Any, model: Any) -> tuple[list[str], list[list[Any]]]:
    """Names that are this model and no earlier one, and the rules for all others."""
    whole = rule(model.match)
    clauses = whole[1:] if whole[0] == "or" else [whole]
    names = {clause[1] for clause in clauses if clause[0] == "is"} | {model.id.lower()}
    return (
        sorted(name for name in names if provider.find_model(name) is model),
        [clause for clause in clauses if clause[0] != "is"],
    )


def rates(price: Any) -> tuple[list[int | None], list[list[Any]]]:
    """The columns of a library's price, and those above each context size."""
    flat: dict[str, int] = {}
    steps: dict[int, dict[str, int]] = {}
    for key, value in price.__dict__.items():
        column = _COLUMN_OF.get(key)
        if value is None or column is None:
            continue
        per = _KILO if key.endswith("_kcount") else 1
        flat[column] = _nano(getattr(value, "base", value), per)
        for tier in getattr(value, "tiers", ()):
            steps.setdefault(tier.start, {})[column] = _nano(tier.price, per)
    above: list[list[Any]] = []
    so_far = flat
    for start in sorted(steps):
        so_far = so_far | steps[start]
        above.append([start, _columns(so_far)])
    return _columns(flat), above


def _nano(usd: Decimal, per: int) -> int:
    return int((usd * NANO / per).to_integral_value(ROUND_HALF_EVEN))


def _columns(found: dict[str, int]) -> list[int | None]:
    row: list[int | None] = [found.get(name) for name in COLUMNS]
    while row and row[-1] is None:
        row.pop()
    return row


def periods(model: Any) -> list[dict[str, Any]]:
    """The prices of a model in their order: the last that is valid at a time is the one."""
    if not isinstance(model.prices, list):
        return [_period(model.prices)]
    return [_period(each.prices) | _valid(each.constraint) for each in model.prices]


def tier_periods(model: Any, context: dict[str, str]) -> list[dict[str, Any]]:
    """The same in a service tier, from whichever day the tier or the model changed its price."""
    given = model.prices if isinstance(model.prices, list) else []
    constraints = [each.constraint for each in (*given, *_variants(model, context))]
    if any(hasattr(each, "start_time") for each in constraints):
        return []
    starts = sorted({each.start_date for each in constraints if each is not None})
    found: list[dict[str, Any]] = []
    for start in (None, *starts):
        day = start or min(starts, default=date(2020, 1, 2)) - timedelta(days=1)
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
        period = _period(model.get_prices(moment, context))
        if not found or _prices_of(found[-1]) != _prices_of(period):
            found.append(period | ({"from": start.isoformat()} if start else {}))
    return found


def _variants(model: Any, context: dict[str, str]) -> list[Any]:
    return [
        each
        for each in model.price_variants or ()
        if all(context.get(key) == value for key, value in each.when.items())
    ]


def _valid(constraint: Any) -> dict[str, Any]:
    if constraint is None:
        return {}
    if hasattr(constraint, "start_date"):
        return {"from": constraint.start_date.isoformat()}
    times = constraint.start_time, constraint.end_time
    return {"hours": [time.hour * 60 + time.minute for time in times]}


def _period(price: Any) -> dict[str, Any]:
    flat, above = rates(price)
    return {"rates": flat} | ({"above": above} if above else {})


def _prices_of(period: dict[str, Any]) -> tuple[Any, Any]:
    return period["rates"], period.get("above")


def models(provider: Any) -> Iterator[dict[str, Any]]:
    """The catalogue's entries of one provider, in the order in which their rules are tried."""
    for model in provider.models:
        names, rules = naming(provider, model)
        entry: dict[str, Any] = {"id": model.id}
        # An empty list says that not even the id is its name; none at all, that only the id is.
        if names != [model.id.lower()]:
            entry["names"] = names
        if rules:
            entry["match"] = rules
        standard = periods(model)
        free = model.id.endswith(":free") or model.id in _FREE.get(provider.id, ())
        if free and standard == [{"rates": []}]:
            standard = [{"rates": [0, 0]}]
        if not all(period["rates"] for period in standard):
            # Its rules still keep later ones from finding a wrong price for it.
            yield entry | {"periods": []}
            continue
        if model.context_window:
            entry["context_window"] = model.context_window
        entry["periods"] = standard
        tiers = {
            tier: priced
            for tier, context in _CONTEXTS.items()
            if _variants(model, context) and (priced := tier_periods(model, context)) != standard
        }
        yield entry | ({"tiers": tiers} if tiers else {})


def catalogue(providers: list[Any], day: str, release: str) -> dict[str, Any]:
    """The whole file, its version last computed from all the rest."""
    known = {each.id for each in providers}
    body: dict[str, Any] = {
        "format": FORMAT,
        "version": "",
        "date": day,
        "unit": UNIT,
        "source": f"genai-prices {release}, MIT licence, see LICENSE-genai-prices.txt",
        "columns": list(COLUMNS),
        "hosts": [[each.id, each.api_pattern] for each in providers]
        + [[name, pattern] for name, pattern in _MORE_HOSTS.items() if name in known],
        "fallbacks": {
            each.id: each.fallback_model_providers
            for each in providers
            if each.fallback_model_providers
        },
        "models": {each.id: list(models(each)) for each in providers},
    }
    body["version"] = version_of(body)
    return body


def main() -> int:
    """Write the catalogue and its source's licence; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--library", type=Path, required=True, metavar="DIR")
    parser.add_argument("--date", required=True, metavar="YYYY-MM-DD")
    parser.add_argument("--to", type=Path, default=BUNDLED, metavar="FILE")
    given = parser.parse_args()
    sys.path.insert(0, str(given.library))
    providers = importlib.import_module("genai_prices.data").providers
    found = importlib.metadata.distribution("genai-prices")
    body = catalogue(providers, given.date, found.version)
    text = text_of(body)
    wrong = problems(text)
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    if wrong:
        return 1
    given.to.write_bytes(text)
    licence = next(path for path in found.files or () if path.name == "LICENSE")
    licence_text = Path(str(licence.locate())).read_text()
    (given.to.parent / "LICENSE-genai-prices.txt").write_text(licence_text)
    count = sum(len(each) for each in body["models"].values())
    sys.stdout.write(f"{body['version']}: {count} models, {len(text)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
