"""Several keys at one vendor, by a clock that is moved by hand."""

from collections import Counter
from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.keyring import LIMITED, LONGEST, REFUSED, SPENT, Keys

if TYPE_CHECKING:
    from proxy.core.key_ring import KeyRing


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def fields(*weights: float) -> list[tuple[tuple[bytes, bytes], float]]:
    return [((b"authorization", b"Bearer sk-%d" % at), each) for at, each in enumerate(weights)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(clock: Clock) -> Keys:
    return Keys(fields(1, 1, 1), clock)


def test_it_is_the_port_and_shows_no_key(ring: Keys) -> None:
    port: KeyRing = ring
    assert port.field(1) == (b"authorization", b"Bearer sk-1")
    assert "sk-" not in repr(ring) + str(ring)


@given(st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, 7.0]), min_size=1, max_size=6))
def test_shares_are_those_of_the_weights(weights: list[float]) -> None:
    ring = Keys(fields(*weights))
    taken = Counter(ring.take() for _ in range(2000))
    for key, weight in enumerate(weights):
        assert abs(taken[key] - 2000 * weight / sum(weights)) <= 2


def test_the_choice_is_smooth() -> None:
    ring = Keys(fields(3, 1))
    assert [ring.take() for _ in range(8)] == [0, 0, 1, 0, 0, 0, 1, 0]


def test_a_refused_key_rests_twice_as_long_each_time(ring: Keys, clock: Clock) -> None:
    for strikes in range(9):
        assert ring.failed(0, "auth")
        rest = min(LONGEST, REFUSED * 2**strikes)
        clock.now += rest - 0.1
        assert 0 not in {ring.take() for _ in range(9)}
        assert ring.resting() == 1
        clock.now += 0.1
        assert 0 in {ring.take() for _ in range(9)}
        assert ring.resting() == 0
    ring.worked(0)
    assert ring.failed(0, "auth")
    clock.now += REFUSED
    assert 0 in {ring.take() for _ in range(9)}


@pytest.mark.parametrize(("asked", "rest"), [(None, LIMITED), (2.5, 2.5), (1e9, LONGEST)])
def test_a_limited_key_rests_as_long_as_the_vendor_asks(
    ring: Keys, clock: Clock, asked: float | None, rest: float
) -> None:
    assert ring.failed(1, "rate_limit", asked)
    clock.now += rest - 0.1
    assert 1 not in {ring.take() for _ in range(9)}
    clock.now += 0.2
    assert 1 in {ring.take() for _ in range(9)}


def test_a_rest_is_never_made_shorter(ring: Keys, clock: Clock) -> None:
    assert ring.failed(0, "rate_limit", 50.0)
    assert ring.failed(0, "rate_limit", 1.0)
    clock.now += 40.0
    assert 0 not in {ring.take() for _ in range(9)}


def test_a_key_with_nothing_left_rests_a_minute_at_most(ring: Keys, clock: Clock) -> None:
    assert ring.rest(2, 86400.0)
    clock.now += SPENT
    assert 2 in {ring.take() for _ in range(9)}


def test_where_all_rest_the_first_to_return_is_used(ring: Keys) -> None:
    assert ring.failed(0, "rate_limit", 30.0)
    assert ring.failed(1, "rate_limit", 10.0)
    assert ring.has_other(0)
    assert not ring.has_other(2)
    assert not ring.failed(2, "rate_limit", 20.0)
    assert [ring.take() for _ in range(3)] == [1, 1, 1]
    assert ring.soonest() == 10.0


@pytest.mark.parametrize("reason", ["auth", "rate_limit"])
def test_a_single_key_never_rests(reason: str) -> None:
    ring = Keys(fields(1))
    assert not ring.failed(0, reason, 99.0)
    assert not ring.rest(0, 9.0)
    assert (ring.take(), ring.resting(), ring.has_other(0)) == (0, 0, False)
    assert ring.soonest() == inf


@pytest.mark.parametrize("reason", ["server", "timeout", "refused", "connect"])
def test_what_says_nothing_of_the_key_changes_nothing(ring: Keys, reason: str) -> None:
    assert not ring.failed(0, reason, 99.0)
    assert ring.resting() == 0


def test_it_knows_what_it_is_made_of(ring: Keys) -> None:
    assert ring.made_of(fields(1, 1, 1))
    assert not ring.made_of(fields(1, 1, 2))
    assert not ring.made_of(fields(1, 1))


def test_a_ring_needs_a_key() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        _ = Keys([])
