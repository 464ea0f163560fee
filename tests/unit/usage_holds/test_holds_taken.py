"""What a dead worker held becomes records: each request exactly one, whoever dies in between."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from proxy.core.accounting import WORKER_DIED
from proxy.core.labels import Labels
from proxy.core.spending import charges
from proxy.core.tracing import Trace
from proxy.usage.holds_file import SLOT, HoldsFile, Place
from proxy.usage.holds_taken import Owner, awaits, holds_beside, take_over
from proxy.usage.recording import Identity, record_of_exchange
from proxy.usage.segments import is_finished, list_segments
from proxy.usage.shipper import Shipper
from proxy.usage.spool import Spool, SpoolOptions
from proxy.wire.record import Usage, UsageRecord, line_of
from tests.unit.usage.test_usage_lines import PRICES
from tests.unit.usage_holds.held import Holding, recorded, request
from tests.unit.usage_ship.memory_store import MemoryStore

BOTH = pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "written"])


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@BOTH
def test_a_request_in_flight_becomes_one_record(spool: Path, mapped: bool) -> None:
    worker, x = Holding(spool, mapped=mapped), request()
    _ = worker.hold(x, 123_456)
    worker.die()
    assert take_over(spool) == 1
    assert take_over(spool) == 0
    (found,) = recorded(spool)
    assert found.id == x.id
    assert (found.at, x.at > 0) == (x.at, True)
    assert (found.outcome, found.error, found.status) == ("failed", WORKER_DIED, 500)
    assert (found.key, found.team, found.user, found.project) == ("alice", "red", "ada", "apollo")
    assert (found.model, found.route, found.operation) == ("m", "m", "chat")
    assert (found.served_provider, found.served_model) == ("p", "m-1")
    assert (found.cost, found.usage, found.usage_source) == (123_456, Usage(10, 20), "estimated")
    assert (found.worker, found.config, found.prices) == ("worker-0", "v", "prices-1")
    assert {each.cost for each in charges(found)} == {123_456}
    assert list(holds_beside(spool).glob("*.holds")) == []
    (segment,) = list_segments(spool)
    assert is_finished(segment)


def test_what_was_cleared_leaves_nothing(spool: Path) -> None:
    worker = Holding(spool)
    done = worker.hold(request(), 5)
    assert done.kept is not None
    done.kept.clear()
    done.kept.clear()
    worker.die()
    assert take_over(spool) == 0
    assert list_segments(spool) == []
    assert not worker.path.exists()


def test_attempts_of_one_request_are_in_one_record(spool: Path) -> None:
    worker, x = Holding(spool), request()
    given_back = worker.hold(x, 1)
    assert given_back.kept is not None
    given_back.kept.clear()
    _, grown = worker.hold(x, 10), worker.hold(x, 100)
    assert grown.kept is not None
    grown.kept.grew(150, 33)
    _ = worker.hold(request(), 7)
    worker.die()
    assert take_over(spool) == 2
    first, second = recorded(spool)
    assert first.id == x.id
    assert [each.cost.total for each in first.attempts if each.cost] == [10, 150]
    assert first.cost == 160
    assert first.usage == Usage(20, 20 + 33)
    assert second.cost == 7


class KilledBeforeItFrees:
    """A file of holds in which the old line stays beside the new one."""

    def __init__(self, file: HoldsFile) -> None:
        self.put = file.put

    def free(self, place: Place) -> None:
        """That was not done any more."""


def test_killed_while_a_hold_grew_the_larger_counts(spool: Path) -> None:
    worker, x = Holding(spool), request()
    attempt = worker.hold(x, 100)
    assert attempt.kept is not None
    kept: Any = attempt.kept
    kept.file = KilledBeforeItFrees(worker.file)
    attempt.kept.grew(400, 33)
    worker.die()
    assert take_over(spool) == 1
    assert [each.cost for each in recorded(spool)] == [400]


def test_what_the_request_says_of_itself_is_kept(spool: Path) -> None:
    worker, x = Holding(spool), request()
    x.labels = Labels("acme", "bot", "s" * 128, tuple(f"{n:02}" + "ö" * 100 for n in range(16)))
    x.trace = Trace("a" * 32, "b" * 16, "c" * 16, "01")
    _ = worker.hold(x, 5)  # Longer than a slot.
    worker.die()
    assert take_over(spool) == 1
    (found,) = recorded(spool)
    own = record_of_exchange(x, Identity("worker-0"), PRICES)
    for name in ("at", "id", "customer", "agent", "session", "tags", "trace", "span", "parent"):
        assert getattr(found, name) == getattr(own, name)


def test_where_records_are_discreet_so_is_what_is_kept(spool: Path) -> None:
    worker, x = Holding(spool, discreet=True), request()
    x.labels, x.model = Labels("canary-1", "canary-2", "canary-3", ("canary-4",)), "canary-5"
    _ = worker.hold(x, 5)
    assert b"canary" not in worker.path.read_bytes()
    worker.die()
    _ = take_over(spool)
    (found,) = recorded(spool)
    assert (found.model, found.customer, found.tags) == ("m", None, ())


def test_a_worker_that_lives_is_left_alone(spool: Path) -> None:
    worker = Holding(spool)
    _ = worker.hold(request(), 5)
    assert take_over(spool) == 0
    assert take_over(spool, Owner("worker-1", 1)) == 0
    assert worker.path.exists()


def test_a_namesake_that_is_just_dying_is_waited_for(spool: Path) -> None:
    worker = Holding(spool)
    _ = worker.hold(request(), 5)
    death = threading.Timer(0.05, worker.die)
    death.start()
    assert take_over(spool, Owner("worker-0", 1)) == 1
    death.join()


def test_a_line_that_was_torn_was_never_sent(spool: Path) -> None:
    worker = Holding(spool)
    for money in (1, 2, 3):
        _ = worker.hold(request(), money)
    data = bytearray(worker.path.read_bytes())
    data[SLOT + 100 : 2 * SLOT] = bytes(SLOT - 100)
    worker.path.write_bytes(data)
    worker.die()
    assert take_over(spool) == 2
    assert sorted(each.cost or 0 for each in recorded(spool)) == [1, 3]


def own_record(worker: Holding, spool: Path, money: int, lines: int) -> tuple[Spool, UsageRecord]:
    """A worker that was killed between writing a record and clearing its slot; before that it had
    written others."""
    writer = Spool(spool, "worker-0", SpoolOptions(segment=4096))
    for _ in range(lines):
        writer.append(line_of(record_of_exchange(request(), Identity("worker-0"), PRICES)))
    x = request()
    _ = worker.hold(x, money)
    record = record_of_exchange(x, Identity("worker-0"), PRICES)
    writer.append(line_of(record))
    return writer, record


@pytest.mark.parametrize("lines", [0, 1, 5, 300])
def test_what_has_its_record_gets_no_other(spool: Path, lines: int) -> None:
    worker = Holding(spool)
    writer, record = own_record(worker, spool, 5, lines)
    other = request()
    _ = worker.hold(other, 6)
    worker.die()
    assert take_over(spool) == 1
    writer.close()
    ids = [each.id for each in recorded(spool)]
    assert len(ids) == len(set(ids)) == lines + 2
    assert {record.id, other.id} <= set(ids)


def test_the_made_record_has_the_key_of_the_requests_own(spool: Path) -> None:
    """For when the machine died, and only the store has the other."""
    worker = Holding(spool)
    writer, record = own_record(worker, spool, 5, 0)
    writer.close()
    for segment in list_segments(spool):
        segment.path.unlink()
    worker.die()
    assert take_over(spool) == 1
    (made,) = recorded(spool)
    assert (made.at, made.id) == (record.at, record.id)


def test_a_taker_that_was_killed_is_followed_by_another(spool: Path) -> None:
    worker, again = Holding(spool), Holding(spool)
    _ = worker.hold(request(), 5)
    kept = worker.path.read_bytes()
    spool.mkdir()
    half = spool / f"{worker.path.stem}-0000.new"  # Killed while it wrote.
    half.write_bytes(b"x" * 10_000)
    worker.die()
    assert take_over(spool) == 1
    (first,) = recorded(spool)
    worker.path.write_bytes(kept)  # Killed before the file was removed.
    assert take_over(spool) == 0
    assert recorded(spool) == [first]
    assert not worker.path.exists()
    list_segments(spool)[0].path.unlink()
    worker.path.write_bytes(kept)
    assert take_over(spool) == 1
    assert recorded(spool) == [first]  # The same, whenever it is made.
    again.file.close()


def test_many_takers_make_one_record_each(spool: Path) -> None:
    workers = [Holding(spool, f"worker-{number}") for number in range(4)]
    for worker in workers:
        for money in range(1, 50):
            _ = worker.hold(request(), money)
        worker.die()
    takers = [threading.Thread(target=take_over, args=(spool,)) for _ in range(6)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert len({each.id for each in recorded(spool)}) == len(recorded(spool)) == 4 * 49


def test_no_segment_of_a_dead_worker_is_deleted_before_its_holds_are_taken(
    spool: Path,
) -> None:
    worker = Holding(spool)
    writer, record = own_record(worker, spool, 5, 40)
    writer.close()
    store = MemoryStore()
    shipper = Shipper(spool, store)
    segments = list_segments(spool)
    assert len(segments) > 1
    assert not awaits(spool, segments[0])  # It lives: what is finished and shipped may go.
    in_flight = request()
    _ = worker.hold(in_flight, 6)
    worker.die()
    asyncio.run(shipper.drain())
    assert list_segments(spool) == segments
    assert take_over(spool) == 1
    asyncio.run(shipper.drain())
    assert list_segments(spool) == []
    assert len(store.kept) == len(set(store.kept)) == 42
    assert {record.id, in_flight.id} <= set(store.kept)
