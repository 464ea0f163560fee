"""`llm-proxy explain --replay 24h`: recorded requests by the rules of today, or of another file.

Records are read through a cursor of the store and added up; none is kept.
"""

import argparse
import asyncio
import sys
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any

from proxy.base.jsonio import pretty
from proxy.build.explain_replay import COLUMNS, Replay
from proxy.cli.configured import BAD_CONFIGURATION, settings_of
from proxy.cli.explain_text import shown
from proxy.cli.store import store_address
from proxy.cli.usage import now, with_store
from proxy.config.settings import Settings
from proxy.stores.postgres.reports import PostgresReports
from proxy.usage.report import moment
from proxy.usage.report_values import stamp
from proxy.usage.report_width import clipped, padded

_NAME = 40


def replay(given: argparse.Namespace) -> int:
    """Print it. 1: the store cannot be used; 2: bad usage or configuration."""
    if given.file or given.key or given.header or given.path:
        sys.stderr.write("llm-proxy: --replay takes --with, --json and --config, and no request\n")
        return BAD_CONFIGURATION
    other: Settings | None = None
    if given.other is not None:
        other = settings_of(given.other, given.env)
        if other is None:
            return BAD_CONFIGURATION

    def work(settings: Settings) -> Coroutine[Any, Any, None]:
        return _replay(settings, other or settings, given)

    try:
        return with_store(given.config, given.env, work)
    except OSError as error:  # A certificate, for one.
        sys.stderr.write(f"llm-proxy: a file of the configuration cannot be used: {error}\n")
        return 1


async def _replay(settings: Settings, by: Settings, given: argparse.Namespace) -> None:
    since = moment("replay", given.replay, now())
    made = await asyncio.to_thread(Replay, settings, by)
    try:
        async with store_address(settings) as address:
            reports = PostgresReports(lambda: address)
            async with reports.records(since, None, (), COLUMNS) as batches:
                async for batch in batches:
                    for row in batch:
                        made.add(row)
    finally:
        made.close()
    found = {"since": stamp(since), **made.told()}
    if given.json:
        sys.stdout.write(pretty(found).decode() + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines(found))


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """For people."""
    yield f"{told['requests']:,} requests since {told['since']}, {told['moved']:,} of them moved"
    if told["without_model"]:
        yield f"  ({told['without_model']:,} records without a model are not among them)"
    for what, none in (("rule", "(no rule)"), ("model", "(none: refused)")):
        yield ""
        yield f"{padded(what, _NAME)}  {'before':>10}  {'after':>10}"
        for each in told[f"{what}s"]:
            name = padded(clipped(shown(each[what] or none), _NAME), _NAME)
            yield f"{name}  {each['before']:>10,}  {each['after']:>10,}"
    if told["moves"]:
        yield ""
        yield "moved"
    for each in told["moves"]:
        way = f"{shown(each['from'] or 'refused')} → {shown(each['to'] or 'refused')}"
        unpriced = f", {each['unpriced']:,} without a price" if each["unpriced"] else ""
        yield (
            f"  {way}: {each['requests']:,}, {each['before_usd']} USD → {each['after_usd']} USD"
            f"{unpriced}"
        )
    if told["not_recorded"]:
        yield ""
        yield "cannot be told: what these rules ask for is not recorded"
    for each in told["not_recorded"]:
        yield f"  {shown(each['rule'])} ({', '.join(each['conditions'])}): {each['requests']:,}"
    yield ""
    yield (
        f"cost  {told['before_usd']} USD → {told['after_usd']} USD "
        f"(difference {told['difference_usd']})"
    )
    if told["unpriced"]:
        yield f"  {told['unpriced']:,} requests without a price on one side are not in it"
