"""Each hold ends in exactly one record, wherever its worker and whoever takes over were killed."""

import random
import subprocess
import sys
from pathlib import Path

from proxy.core.accounting import WORKER_DIED
from proxy.usage.holds_taken import holds_beside
from tests.unit.usage_holds.held import recorded

_SOURCE = Path(__file__).resolve().parents[3]
_ROUNDS = 80


def test_killed_anywhere_each_hold_ends_in_one_record(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    seed = random.randrange(10**6)
    command = [sys.executable, "-m", "tests.unit.usage_holds.holding_process"]
    ended = subprocess.run(
        [*command, spool, str(_ROUNDS), str(seed)],
        cwd=_SOURCE,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = ended.stdout.split()
    found = recorded(spool, torn=True)
    ids = [each.id for each in found]
    made = [each for each in found if each.error == WORKER_DIED]
    assert len(ids) == len(set(ids)), seed
    assert set(told) <= set(ids), seed
    assert len(set(ids) - set(told)) <= _ROUNDS, seed  # Killed before they could tell.
    assert len(told) > _ROUNDS
    assert len(made) > _ROUNDS
    assert all(each.cost for each in made)
    assert [path.name for path in holds_beside(spool).iterdir() if path.suffix == ".holds"] == []
