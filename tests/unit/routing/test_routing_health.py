"""The health of a target, by what becomes of attempts; and all of a worker's, over reloads."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.clock import monotonic
from proxy.core.health import LEFT, Health
from proxy.core.policy import Breaker
from proxy.core.verdicts import TARGET_AT_FAULT
from proxy.routing.availability import SLOT, SLOTS, Availability
from proxy.routing.health import Name, TargetHealth
from proxy.routing.healths import Healths, Shared, Switches
from proxy.routing.latencies import ENOUGH, KEPT, Latencies

QUICK = Breaker(failures=2, recovery=30.0)


@pytest.fixture
def told() -> list[tuple[Name, float | None, str]]:
    return []


@pytest.fixture
def healths(told: list[tuple[Name, float | None, str]]) -> Iterator[Healths]:
    found = Healths(most=16)
    found.told = lambda name, seconds, cause: told.append((name, seconds, cause))
    yield found
    for health in found.known():
        assert health.in_flight >= 0


def make(healths: Healths, model: str = "gpt", settings: Breaker = QUICK) -> TargetHealth:
    return healths.of("chat", "acme", model, settings)


def fail(health: Health, times: int = 2, reason: str = "server") -> None:
    for _ in range(times):
        health.end(reason, health.begin())


def test_it_is_the_port(healths: Healths) -> None:
    health: Health = make(healths)
    assert health.why_not(monotonic()) is None
    assert (health.in_flight, health.latency(), health.quantile(0.5)) == (0, None, None)


@pytest.mark.parametrize("reason", sorted(TARGET_AT_FAULT))
def test_every_fault_of_the_target_counts(healths: Healths, reason: str) -> None:
    health = make(healths)
    fail(health, reason=reason)
    assert health.why_not(monotonic()) is not None
    assert health.fault is not None
    assert health.fault.reason == reason
    assert health.availability(monotonic()) == 0.0


@pytest.mark.parametrize(
    "reason", ["rate_limit", "auth", "absent", "refused", "context_length", "hedged", LEFT]
)
def test_nothing_else_does(healths: Healths, reason: str) -> None:
    health = make(healths)
    fail(health, 50, reason)
    assert health.why_not(monotonic()) is None
    assert health.availability(monotonic()) is None


def test_a_caller_that_leaves_ends_no_row_of_failures(healths: Healths) -> None:
    health = make(healths)
    fail(health, 1)
    health.end(LEFT, health.begin())
    fail(health, 1)
    assert health.why_not(monotonic()) is not None


def test_others_are_told_when_it_opens_and_closes(
    healths: Healths, told: list[tuple[Name, float | None, str]]
) -> None:
    health = make(healths)
    fail(health)
    ((name, seconds, cause),) = told
    assert name == Name("chat", "acme", "gpt")
    assert seconds == pytest.approx(30.0, abs=1.0)
    assert "server" in cause
    health.breaker.try_now(monotonic())
    began = health.begin()
    health.first_token(0.5, began)
    health.end(None, began)
    assert told[1:] == [(name, None, cause)]
    assert health.why_not(monotonic()) is None


@given(st.lists(st.sampled_from(["begin", "end", "fail", "left"]), max_size=60))
def test_what_is_under_way_is_never_less_than_nothing(steps: list[str]) -> None:
    health = make(Healths())
    under_way = 0
    for step in steps:
        if step == "begin":
            _ = health.begin()
            under_way += 1
        else:
            health.end({"end": None, "fail": "server", "left": LEFT}[step], 0)
            under_way = max(0, under_way - 1)
        assert health.in_flight == under_way


def test_what_others_say_opens_it_and_opens_it_no_shorter(healths: Healths) -> None:
    health = make(healths)
    healths.hear({health.name: Shared(20.0, "elsewhere")})
    assert "elsewhere" in str(health.why_not(monotonic()))
    until, era = health.opens(), health.breaker.era
    healths.hear({health.name: Shared(5.0, "shorter")})
    healths.hear({health.name: Shared(20.1, "the same again")})
    assert (health.opens(), health.breaker.era) == (until, era)
    healths.hear({})
    assert health.breaker.state(monotonic()) == "half_open"


def test_what_others_close_stays_open_where_it_was_opened_here(healths: Healths) -> None:
    health = make(healths)
    fail(health)
    healths.hear({health.name: Shared(30.0, "elsewhere")})
    healths.hear({})
    assert health.breaker.state(monotonic()) == "open"


def test_an_operator_stands_above_it(healths: Healths) -> None:
    health = make(healths)
    now = monotonic()
    healths.switch(Switches(targets={health.name: "open"}))
    assert health.barred
    assert health.why_not(now) == health.barred
    healths.switch(Switches(targets={health.name: "closed"}))
    fail(health, 9)
    assert health.why_not(monotonic()) is None
    healths.switch(Switches())
    fail(health, 2)
    assert health.why_not(monotonic()) is not None
    healths.switch(Switches(targets={health.name: "closed"}))
    assert health.why_not(monotonic()) is None
    healths.switch(Switches(providers={"acme": "disabled by ada"}))
    assert make(healths, "made later").barred == "disabled by ada"
    assert healths.of("chat", "other", "gpt", QUICK).barred is None


def test_it_outlives_a_reload_with_new_settings(healths: Healths) -> None:
    health = make(healths)
    gone = make(healths, "gone")
    healths.adopt()
    fail(health)
    again = make(healths, settings=Breaker(failures=7))
    assert again is health
    assert health.breaker.settings is QUICK  # Until the configuration is in force.
    healths.adopt()
    assert health.breaker.settings.failures == 7
    assert health.why_not(monotonic()) is not None
    assert gone not in healths.known()


def test_models_of_a_pattern_have_each_their_own(healths: Healths) -> None:
    pattern = make(healths, "*")
    one, other = pattern.named("one"), pattern.named("other")
    assert pattern.named("one") is one
    assert one is not other
    fail(one)
    assert other.why_not(monotonic()) is None
    _ = make(healths, "*", Breaker(failures=1))
    healths.adopt()
    assert pattern.named("one") is one
    fail(other, 1)
    assert other.why_not(monotonic()) is not None
    healths.switch(Switches(targets={pattern.name: "open"}))
    assert one.barred


def test_names_that_callers_make_up_are_bounded(healths: Healths) -> None:
    pattern = make(healths, "*")
    busy = pattern.named("busy")
    _ = busy.begin()
    for number in range(1000):
        _ = pattern.named(f"m{number}").in_flight
        assert len(healths.known()) <= 16
    assert pattern.named("busy") is busy
    assert pattern in healths.known()


def test_a_probe_counts_for_all_targets_of_its_provider(healths: Healths) -> None:
    one, two = make(healths, "one"), make(healths, "two")
    healths.probed("acme", "connect")
    healths.probed("acme", "connect")
    assert one.why_not(monotonic()) and two.why_not(monotonic())
    healths.probed("acme", None)
    assert one.why_not(monotonic()) is None
    assert (one.in_flight, two.in_flight) == (0, 0)


def test_availability_forgets_after_five_minutes() -> None:
    kept = Availability()
    assert kept.share(1000.0) is None
    kept.add(1000.0, good=True)
    kept.add(1000.0, good=False)
    kept.add(1000.0 + SLOT, good=True)
    assert kept.share(1000.0 + SLOT) == pytest.approx(2 / 3)
    assert kept.share(1000.0 + SLOT * SLOTS) == 1.0
    assert kept.share(1000.0 + SLOT * (SLOTS + 1)) is None
    kept.add(5000.0, good=True)
    assert kept.share(5000.0) == 1.0


@given(st.lists(st.floats(0.001, 100), min_size=ENOUGH, max_size=400))
def test_quantiles_are_those_of_the_last_values(values: list[float]) -> None:
    found = Latencies()
    for value in values:
        found.add(value)
    least, most = found.quantile(0.01), found.quantile(1.0)
    assert least is not None
    assert most is not None
    recent = values[-KEPT - KEPT // 8 :]
    assert min(recent) <= least <= most <= max(recent)
    mean = found.mean()
    assert mean is not None
    assert min(values) * 0.999 <= mean <= max(values) * 1.001


def test_a_quantile_needs_enough_values() -> None:
    found = Latencies()
    for value in range(1, ENOUGH):
        found.add(float(value))
    assert found.quantile(0.5) is None
    found.add(float(ENOUGH))
    assert found.quantile(0.5) == 5.0
    assert found.quantile(0.95) == 10.0
