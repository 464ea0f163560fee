"""Sticky: what belongs together goes to one target, so that the vendor's prompt cache stays warm.

Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights as in Schindelhauer and Schomaker
2005): the lot of each target is drawn from a hash of the session (or key) and the target's name, so
all workers and hosts agree without talking. When a target goes, only what it had moves, to where
its second lot says, and comes back with it. Requests that belong to nothing are drawn at random.
"""

from hashlib import blake2b

from proxy.core.target import Target
from proxy.routing.strategies.lots import arranged, lot, weighed
from proxy.routing.strategies.port import Ask

_BITS = 53  # What a float holds exactly.


class Sticky:
    """Keeps nothing: the order follows from the names."""

    __slots__ = ()
    name = "sticky"

    def order(self, targets: tuple[Target, ...], ask: Ask, /) -> tuple[Target, ...]:
        """As the hash says."""
        if len(targets) < 2:
            return targets
        belongs = ask.sticky
        if not belongs:
            return arranged(targets, [(-lot(each, ask.draw),) for each in targets])
        begun = blake2b(belongs.encode("utf-8", "surrogateescape"), digest_size=8)
        keys: list[tuple[float, ...]] = []
        for target in targets:
            hashed = begun.copy()
            hashed.update(
                f"\0{target.provider.name}\0{target.model}".encode("utf-8", "surrogateescape")
            )
            number = int.from_bytes(hashed.digest(), "big") >> (64 - _BITS)
            keys.append((-weighed(target.weight, number / (1 << _BITS)),))
        return arranged(targets, keys)
