"""Usual records that have all in common but their numbers: counted, told and kept many at once.

Whoever handles records for all (metrics, spans, rows, sums) takes them one by one, any of them. Of
nearly all it can do the same in a fraction of the time, as what it looks up is the same for the
whole lot, and numbers add up column by column.
"""

from collections.abc import Iterable

from proxy.wire.brief import Brief, Numbers, Standing, whole
from proxy.wire.record import UsageRecord
from proxy.wire.record_reader import Told


class Lot:
    """Records of one standing, without `More`; at least one."""

    __slots__ = ("first", "numbers", "standing")

    def __init__(self, standing: Standing, numbers: list[Numbers]) -> None:
        self.standing = standing
        self.numbers = numbers
        self.first = whole(standing, numbers[0], None)
        """What it says beside its numbers and ids all of them say."""

    def __len__(self) -> int:
        return len(self.numbers)

    def whole(self, numbers: Numbers) -> UsageRecord:
        """The record of one of them."""
        return whole(self.standing, numbers, None)


def sort_out(told: Iterable[Told]) -> tuple[list[Lot], list[UsageRecord]]:
    """The lots, and what belongs to none."""
    numbers: dict[int, list[Numbers]] = {}
    standings: list[Standing] = []
    others: list[UsageRecord] = []
    for each in told:
        if type(each) is not Brief:
            others.append(each)
        elif each.more is not None:
            others.append(each.whole())
        elif (found := numbers.get(id(each.standing))) is not None:
            found.append(each.numbers)
        else:  # By identity: a reader has one object for all that begin alike.
            numbers[id(each.standing)] = [each.numbers]
            standings.append(each.standing)
    return [Lot(standing, numbers[id(standing)]) for standing in standings], others


def spelled_out(told: Iterable[Told]) -> list[UsageRecord]:
    """All of them as records, in their order."""
    return [each.whole() if type(each) is Brief else each for each in told]
