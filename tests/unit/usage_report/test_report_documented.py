"""The columns of an export, and the fields of its attempts, are documented, and no other."""

import re
from pathlib import Path

from proxy.base.jsonio import loads
from proxy.stores.postgres.reports import EXPORTED
from proxy.stores.postgres.usage_rows import ATTEMPTS, row_of
from proxy.usage.report_export import json_lines
from proxy.wire.record import AttemptRecord, Cost, Usage, UsageRecord

SECTION = (
    (Path(__file__).parents[3] / "docs/usage.md")
    .read_text()
    .partition("## Single records\n")[2]
    .partition("\n## ")[0]
)
WHOLE = AttemptRecord(
    "p", "m", 1, 9, 2, 3, 503, "status", Usage(1, 2), "upstream", Cost(3, 1, output=2), "ab" * 8,
    "overloaded", "restart", "spare", hedge=True,
)  # fmt: skip


def documented(table: str) -> list[str]:
    """The names in the first column of the table with this head."""
    rows = SECTION.partition(f"| {table} | |\n|---|---|\n")[2].partition("\n\n")[0]
    return [name for row in rows.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_every_column_stands_in_its_order() -> None:
    head, _ = json_lines(EXPORTED)
    renamed = {"user_id": "user", "cost": "cost_usd"}
    assert head == ""
    assert documented("column") == [renamed.get(name, name) for name in EXPORTED]


def test_every_field_of_an_attempt_is_documented() -> None:
    record = UsageRecord("r", 1, "w", "c", "chat", "completed", 200, 9, attempts=(WHOLE,))
    (attempt,) = loads(row_of(record)[ATTEMPTS])
    assert sorted(attempt) == sorted(documented("field")) == sorted(AttemptRecord.__struct_fields__)
    assert (attempt["reason"], attempt["rescue"]) == ("overloaded", "restart")
    assert (attempt["route"], attempt["hedge"]) == ("spare", True)
