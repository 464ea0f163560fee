"""Calendar windows: they lie side by side, and each has every moment of its days."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.periods import ALL_TIME, Period, Span, before, load, span

HOUR = 3600

# Zones whose clocks change at midnight, by half an hour, by a whole day, or never.
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Africa/Cairo", "America/Havana",
    "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Pacific/Chatham",
)  # fmt: skip
PERIODS: tuple[Period, ...] = ("day", "week", "month")

moments = st.integers(0, 2**32) | st.floats(0, 2**32, allow_nan=False)


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


@given(moments, st.sampled_from(PERIODS), st.sampled_from(ZONES))
def test_every_moment_lies_in_one_window(moment: float, period: Period, zone: str) -> None:
    found = span(period, zone, moment)
    assert moment in found
    assert found.end is not None
    assert span(period, zone, found.start) == found
    assert span(period, zone, found.end - 0.001) == found
    assert span(period, zone, found.end).start == found.end
    earlier = before(period, zone, found)
    assert earlier is not None
    assert earlier.end == found.start
    assert found.start not in earlier


@given(moments, st.sampled_from(PERIODS), st.sampled_from(ZONES))
def test_it_is_the_window_of_the_local_date(moment: float, period: Period, zone: str) -> None:
    """Moments are in one window when their dates, there, say so."""
    found = span(period, zone, moment)
    assert found.end is not None

    def name(second: float) -> object:
        local = datetime.fromtimestamp(second, ZoneInfo(zone))
        names = {"day": local.date(), "week": local.isocalendar()[:2]}
        return names.get(period, (local.year, local.month))

    assert name(found.start) == name(moment) == name(found.end - 1)
    assert name(found.start - 1) != name(moment) != name(found.end)


@pytest.mark.parametrize(
    ("period", "zone", "moment", "begin", "end"),
    [
        ("day", "UTC", "2026-03-04T12:00", "2026-03-04", "2026-03-05"),
        ("day", "UTC", "2026-03-04T00:00", "2026-03-04", "2026-03-05"),
        ("week", "UTC", "2026-03-04T12:00", "2026-03-02", "2026-03-09"),
        ("week", "UTC", "2026-03-08T23:59", "2026-03-02", "2026-03-09"),
        ("month", "UTC", "2028-02-29T12:00", "2028-02-01", "2028-03-01"),
        ("month", "UTC", "2026-12-31T23:59", "2026-12-01", "2027-01-01"),
        ("day", "Asia/Tokyo", "2026-03-04T08:59", "2026-03-04", "2026-03-05"),
        ("month", "America/New_York", "2026-03-31T23:00", "2026-03-01", "2026-04-01"),
    ],
)
def test_windows(period: Period, zone: str, moment: str, begin: str, end: str) -> None:
    assert span(period, zone, at(moment, zone)) == (at(begin, zone), at(end, zone))


@pytest.mark.parametrize(
    ("zone", "moment", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00", 25),
        ("Australia/Lord_Howe", "2026-04-05T12:00", 24.5),
        ("Africa/Cairo", "2024-04-26T12:00", 23),  # Midnight itself is skipped.
        ("America/Havana", "2024-11-03T12:00", 25),  # Midnight comes twice.
    ],
)
def test_days_on_which_the_clocks_change(zone: str, moment: str, hours: float) -> None:
    found = span("day", zone, at(moment, zone))
    assert found.end is not None
    assert found.end - found.start == hours * HOUR


def test_a_date_that_a_zone_left_out() -> None:
    """Samoa had no 30 December 2011."""
    spans = [span("day", "Pacific/Apia", at("2011-12-28", "Pacific/Apia") + 24 * HOUR * n + HOUR)
             for n in range(4)]  # fmt: skip
    assert all(one.end == other.start for one, other in pairwise(spans))
    days = [datetime.fromtimestamp(one.start, ZoneInfo("Pacific/Apia")).day for one in spans]
    assert days == [28, 29, 31, 1]


def test_all_time() -> None:
    assert span("total", "UTC", 0) == span("total", "UTC", 2**40) == ALL_TIME
    assert before("total", "UTC", ALL_TIME) is None
    assert 2**40 in ALL_TIME
    assert -1 not in ALL_TIME


def test_what_a_span_has() -> None:
    one = Span(10, 20)
    assert [moment in one for moment in (9.999, 10, 19.999, 20)] == [False, True, True, False]
    words: object = "15"
    assert not one.__contains__(words)


def test_zones_that_nobody_knows() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        span("day", "Europe/Atlantis", 0)
    with pytest.raises(ZoneInfoNotFoundError):
        load("Europe/Atlantis")


def test_utc_needs_no_file() -> None:
    load("UTC")
    assert span("day", "UTC", 0) == (0, int(datetime(1970, 1, 2, tzinfo=UTC).timestamp()))
