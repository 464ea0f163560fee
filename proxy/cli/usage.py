"""`llm-proxy usage`: what was used and what it cost, from the roll-ups of the configured store.

Costs are exact to the last digit. What waits in the spool is not in the store yet, and so not in
the figures: it is said how much that is.
"""

import asyncio
import csv
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from proxy.base.clock import wall
from proxy.base.jsonio import dumps
from proxy.build.accounting import spool_folder
from proxy.cli.configured import BAD_CONFIGURATION, settings_of
from proxy.cli.store import store_address
from proxy.config.settings import Settings
from proxy.core.accounting import StoreAway, UsageQuery
from proxy.stores.postgres.reports import PostgresReports, Report
from proxy.usage.dead_letters import DeadLetters
from proxy.usage.report import Asked, BadQuery, query_of
from proxy.usage.report_lag import SpoolLook
from proxy.usage.report_table import table
from proxy.usage.report_values import NAMES, figures_object, names_of, query_object, row_object
from proxy.usage.report_values import values_of as figures_of
from proxy.usage.ship_lag import Lag

Format = Literal["table", "csv", "json"]


@dataclass(frozen=True, slots=True)
class _Behind:
    """What is not in the figures. `lag`: it waits in the spool; `reason`: why that cannot be told;
    `dead`: refused by the store."""

    lag: Lag
    reason: str | None = None
    dead: int = 0


def usage(asked: Asked, shape: Format, config: Path | None, environment: str | None) -> int:
    """Print a report. 1: the store cannot be used; 2: bad usage or configuration."""

    def work(settings: Settings) -> Coroutine[Any, Any, None]:
        return _report(settings, query_of(asked, now()), shape)

    return with_store(config, environment, work)


def with_store(
    config: Path | None,
    environment: str | None,
    work: Callable[[Settings], Coroutine[Any, Any, None]],
) -> int:
    """Do something with the configured store; every way in which that fails as an exit code."""
    settings = settings_of(config, environment)
    if settings is None:
        return BAD_CONFIGURATION
    try:
        asyncio.run(work(settings))
        sys.stdout.flush()
    except BadQuery as error:
        sys.stderr.write(f"llm-proxy: {error}\n")
        return BAD_CONFIGURATION
    except StoreAway as error:
        sys.stderr.write(f"llm-proxy: the store cannot be used: {error}\n")
        return 1
    except BrokenPipeError:  # Whoever reads has seen enough, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 0


def now() -> datetime:
    return datetime.fromtimestamp(wall(), UTC)


async def _report(settings: Settings, query: UsageQuery, shape: Format) -> None:
    async with store_address(settings) as address:
        reports = PostgresReports(lambda: address)
        behind = await _behind(settings, reports)
        async with reports.report(query) as report:
            match shape:
                case "table":
                    await _print_table(query, report, behind)
                case "csv":
                    await _print_csv(query, report, behind)
                case "json":
                    await _print_json(query, report, behind)


async def _behind(settings: Settings, reports: PostgresReports) -> _Behind:
    try:
        spool = spool_folder(settings)
        dead = await asyncio.to_thread(DeadLetters(spool).take_stock)
        look = await asyncio.to_thread(SpoolLook, spool)
        positions = await reports.positions(look.names)
        return _Behind(await asyncio.to_thread(look.lag, positions), dead=dead)
    except OSError as error:
        return _Behind(Lag(), f"the spool cannot be read: {error}")


async def _print_table(query: UsageQuery, report: Report, behind: _Behind) -> None:
    rows = [row async for row in report.rows()]
    until = f"until {query.until:%Y-%m-%d %H:%M}" if query.until is not None else "on"
    lines = [*table(query.by, rows, report.totals), ""]
    lines.append(f"From {query.since:%Y-%m-%d %H:%M} {until}, UTC.")
    if "tag" in query.by:
        lines.append("A request with several tags counts for each of them, and once in the total.")
    if report.totals.unpriced:
        lines.append(
            f"Requests that used something without a price: {report.totals.unpriced:,}. "
            "That is not in the costs."
        )
    lines += _waiting(behind)
    sys.stdout.writelines(f"{line}\n" for line in lines)


async def _print_csv(query: UsageQuery, report: Report, behind: _Behind) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow((*query.by, *NAMES))
    async for row in report.rows():
        writer.writerow((*names_of(query.by, row.group), *figures_of(row.figures)))
    sys.stderr.writelines(f"llm-proxy: {line}\n" for line in _waiting(behind))


async def _print_json(query: UsageQuery, report: Report, behind: _Behind) -> None:
    lag = behind.lag
    head = query_object(query) | {
        "totals": figures_object(report.totals),
        "waiting": {
            "records": lag.records,
            "bytes": lag.bytes,
            "seconds": round(lag.seconds, 1),
            "error": behind.reason,
        },
        "dead_letters": behind.dead,
    }
    write = sys.stdout.write
    write(dumps(head).decode().removesuffix("}") + ',"data":[')
    lead = "\n"
    async for row in report.rows():
        write(lead + dumps(row_object(query.by, row)).decode())
        lead = ",\n"
    write("\n]}\n")


def _waiting(behind: _Behind) -> list[str]:
    if behind.reason is not None:
        return [behind.reason]
    lag, lines = behind.lag, []
    if lag.bytes:
        lines.append(
            f"{lag.records:,} records ({lag.bytes:,} bytes, the oldest {_age(lag.seconds)} old) "
            "wait in the spool; they are not in these figures yet."
        )
    if behind.dead:
        lines.append(
            f"{behind.dead:,} dead letters are not in these figures: `llm-proxy usage dead-letters`"
        )
    return lines


def _age(seconds: float) -> str:
    for name, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} s"
