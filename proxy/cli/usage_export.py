"""`llm-proxy usage export`: single records, one line each, in the order of time.

Read through a cursor on the server and written as they come: memory stays flat, however many there
are. They are kept as long as `telemetry.retention` says; the roll-ups stay.
"""

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Literal

from proxy.base.clock import monotonic
from proxy.cli.store import store_address
from proxy.cli.usage import now, with_store
from proxy.config.settings import Settings
from proxy.stores.postgres.reports import EXPORTED, EXPORTED_WITH_CONTENT, PostgresReports
from proxy.usage.report import Asked, conditions, period_of
from proxy.usage.report_export import csv_lines, json_lines

Format = Literal["csv", "json"]

_TOLD_EVERY = 0.5


class _Progress:
    """A line on the terminal that counts; nothing where there is no terminal."""

    def __init__(self) -> None:
        self._seen = sys.stderr.isatty()
        self._began = self._told = monotonic()

    def tell(self, records: int) -> None:
        if self._seen and monotonic() - self._told >= _TOLD_EVERY:
            self._told = monotonic()
            self._write(records, "\r")

    def end(self, records: int) -> None:
        if self._seen:
            self._write(records, "\n")

    def _write(self, records: int, end: str) -> None:
        rate = records / max(monotonic() - self._began, 0.001)
        sys.stderr.write(f"\r{records:,} records, {rate:,.0f}/s {end}")
        sys.stderr.flush()


def export(
    asked: Asked,
    shape: Format,
    config: Path | None,
    environment: str | None,
    *,
    content: bool = False,
) -> int:
    """Print records, with what was said if `content`. 1: the store cannot be used; 2: bad usage or
    configuration."""
    columns = EXPORTED_WITH_CONTENT if content else EXPORTED

    def work(settings: Settings) -> Coroutine[Any, Any, None]:
        return _export(settings, asked, shape, columns)

    return with_store(config, environment, work)


async def _export(
    settings: Settings, asked: Asked, shape: Format, columns: tuple[str, ...]
) -> None:
    period, where = period_of(asked, now()), conditions(asked.where)
    head, lines = csv_lines(columns) if shape == "csv" else json_lines(columns)
    async with store_address(settings) as address:
        reports = PostgresReports(lambda: address)
        async with reports.records(period.since, period.until, where, columns) as batches:
            progress, count = _Progress(), 0
            sys.stdout.write(head)
            async for batch in batches:
                sys.stdout.write(lines(batch))
                count += len(batch)
                progress.tell(count)
            progress.end(count)
