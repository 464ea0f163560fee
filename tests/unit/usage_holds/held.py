"""Holds of requests in flight, and workers that die."""

from pathlib import Path

from proxy.base.ids import RequestIds
from proxy.core.attempt import Attempt
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.target import Route, Target
from proxy.usage.holds_book import SlotBook
from proxy.usage.holds_file import HoldsFile
from proxy.usage.holds_taken import holds_beside
from proxy.usage.recording import Identity
from proxy.usage.segments import list_segments, read_batch
from proxy.wire.lots import spelled_out
from proxy.wire.record import UsageRecord
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import provider, simple
from tests.fakes.wire import FakeTransport

TARGET = Target(provider("p", FakeTransport()), "m-1")
ALICE = Caller("alice", ModelPatterns.of(("*",)), team="red", user="ada", project="apollo")


class Holding:
    """One worker's file and book; `die` is what the kernel does when it is killed."""

    def __init__(
        self, spool: Path, worker: str = "worker-0", *, mapped: bool = True, discreet: bool = False
    ) -> None:
        self.file = HoldsFile(holds_beside(spool), worker, mapped=mapped)
        self.file.open()
        self.book = SlotBook(self.file, Identity(worker), "prices-1", discreet=discreet)

    def hold(self, x: Exchange, money: int, used: tuple[int, int] = (10, 20)) -> Attempt:
        """What `dispatch` and the gate do before an attempt is sent."""
        attempt = Attempt(TARGET)
        attempt.kept = self.book.keep(x, attempt, money, *used)
        x.attempts.append(attempt)
        return attempt

    @property
    def path(self) -> Path:
        assert self.file.path is not None
        return self.file.path

    def die(self) -> None:
        self.file.let_go()


def request() -> Exchange:
    """A request that came so far as to have a plan."""
    x = simple(FakeTransport(), FakeIncoming(b"{}"))
    x.id = RequestIds().new()
    x.caller, x.model, x.route = ALICE, "m", Route("m", (TARGET,))
    return x


def recorded(spool: Path, *, torn: bool = False) -> list[UsageRecord]:
    """All records of a spool; lines may be torn in it only where that is said."""
    found: list[UsageRecord] = []
    for segment in list_segments(spool):
        offset = 0
        while (batch := read_batch(segment, offset)).next_offset > offset:
            assert torn or not batch.bad
            found += spelled_out(batch.records)
            offset = batch.next_offset
    return found
