"""`llm-proxy prices show` and `llm-proxy prices update`: look at the prices, bring newer ones.

Prices are shown as vendors write them, USD per million tokens, to the last digit. An update is a
file that somebody carried here: it is validated whole before it takes the place of the old one.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from proxy.base.jsonio import pretty
from proxy.usage.prices.catalogue import Catalogue
from proxy.usage.prices.files import BadCatalogue, in_force, install
from proxy.usage.prices.price import COLUMNS, in_usd, unit
from proxy.usage.prices.table import PriceTable

_BAD_USAGE = 2
_NEAR = 8
_TABLE = ("input", "output", "cached_input", "cache_write")
_HEADS = ("PROVIDER", "MODEL", "CONTEXT", "TIER", "VALID", "ABOVE")

Format = Literal["table", "json"]


def show(
    model: str | None, provider: str | None, shape: Format, data_dir: Path | None = None
) -> int:
    """Print the prices of a model (or of all), at one provider (or at all). 1: there is none."""
    table = PriceTable(lambda: in_force(data_dir))
    catalogue = table.catalogue
    vendors = catalogue.providers
    if provider is not None:
        vendor = table.provider(provider, "") or catalogue.provider_at(provider)
        if vendor is None:
            sys.stderr.write(f"llm-proxy: no prices of `{provider}`; there are those of ")
            sys.stderr.write(f"{', '.join(vendors)}\n")
            return 1
        vendors = (vendor,)
    entries = [
        (vendor, entry)
        for vendor in vendors
        for entry in _entries(table, vendor, model)
        if entry["periods"]
    ]
    if not entries:
        sys.stderr.write(
            f"llm-proxy: no price of `{model}` is known{_near(catalogue, vendors, model)}\n"
        )
        return 1
    rows = [row for vendor, entry in entries for row in _rows(vendor, entry)]
    if shape == "json":
        found = {"version": catalogue.version, "source": catalogue.source, "prices": rows}
        return _print([pretty(found).decode()])
    return _print(_table(catalogue, rows))


def update(file: Path, data_dir: Path) -> int:
    """Take the catalogue in `file` into use. 2: it is none, and why; 1: it cannot be written."""
    try:
        new = install(file, data_dir)
        used = in_force(data_dir)
    except BadCatalogue as error:
        sys.stderr.writelines(f"{file}: {problem}\n" for problem in error.problems)
        sys.stderr.write("llm-proxy: the prices were not changed\n")
        return _BAD_USAGE
    except OSError as error:
        sys.stderr.write(f"llm-proxy: {error}\n")
        return 1
    count = sum(1 for vendor in new.providers for _ in new.models(vendor))
    sys.stdout.write(f"prices {new.version}: {count} models of {len(new.providers)} providers\n")
    if used.version != new.version:
        sys.stdout.write(f"the prices of this version are newer and stay in use: {used.version}\n")
    return 0


def _entries(table: PriceTable, vendor: str, model: str | None) -> Iterable[Mapping[str, Any]]:
    if model is None:
        return table.catalogue.models(vendor)
    entry = table.entry(vendor, model)
    return () if entry is None else (entry,)


def _rows(vendor: str, entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    tiers: dict[str, list[dict[str, Any]]] = {"": entry["periods"], **entry.get("tiers", {})}
    for tier, periods in tiers.items():
        for period in periods:
            for above, rates in ((0, period["rates"]), *period.get("above", ())):
                yield {
                    "provider": vendor,
                    "model": entry["id"],
                    "context_window": entry.get("context_window"),
                    "tier": tier or None,
                    "valid": _valid(period),
                    "above": above or None,
                    "usd": {
                        name: {"price": in_usd(rate), "per": unit(name)}
                        for name, rate in zip(COLUMNS, rates, strict=False)
                        if rate is not None
                    },
                }


def _valid(period: Mapping[str, Any]) -> str | None:
    if "hours" in period:
        start, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in period["hours"])
        return f"{start}-{end} UTC"
    return f"from {period['from']}" if "from" in period else None


def _table(catalogue: Catalogue, rows: list[dict[str, Any]]) -> Iterator[str]:
    extra = [
        name for name in COLUMNS if name not in _TABLE and any(name in row["usd"] for row in rows)
    ]
    columns = (*_TABLE, *extra)
    heads = (*_HEADS, *(name.upper() for name in columns))
    names = [head.lower() if head != "CONTEXT" else "context_window" for head in _HEADS]
    cells = [heads] + [
        (
            *(str(row[name] or "-") for name in names),
            *(row["usd"].get(name, {}).get("price", "-") for name in columns),
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield "  ".join(padded).rstrip() + "\n"
    yield "\nUSD per million tokens; search, request, image: each; audio_hour: per hour. "
    yield f"Prices {catalogue.version} ({catalogue.source}).\n"


def _near(catalogue: Catalogue, vendors: Iterable[str], model: str | None) -> str:
    if not model:
        return ""
    part = model.lower().rpartition("/")[2]
    found = (
        f"{vendor}: {entry['id']}"
        for vendor in vendors
        for entry in catalogue.models(vendor)
        if entry["periods"] and part in entry["id"].lower()
    )
    near = [name for name, _ in zip(found, range(_NEAR), strict=False)]
    return f"; near it are {', '.join(near)}" if near else ""


def _print(lines: Iterable[str]) -> int:
    try:
        sys.stdout.writelines(lines)
        sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:  # Whoever reads has seen enough, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
