"""`x-ratelimit-*` as vendors write them: only what has run out counts, whatever else they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.vendor_limits import exhausted, seconds


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"1s", 1.0),
        (b"6m0s", 360.0),
        (b"20ms", 0.02),
        (b"1h2m3.5s", 3723.5),
        (b"12", 12.0),
        (b"0.25", 0.25),
        (b"7.66s", 7.66),
        (b"1d", 86400.0),
        (b"", None),
        (b"soon", None),
        (b"-1s", None),
        (b"1s!", None),
        (b"2026-01-01T00:00:00Z", None),
        (b"nan", None),
        (b"9" * 40, None),
    ],
)
def test_durations(text: bytes, found: float | None) -> None:
    assert seconds(text) == (pytest.approx(found) if found is not None else None)


def head(**fields: str) -> list[tuple[bytes, bytes]]:
    return [
        (f"x-ratelimit-{name.replace('_', '-')}".encode(), text.encode())
        for name, text in fields.items()
    ]


def test_something_left_says_nothing() -> None:
    assert exhausted(head(remaining_requests="1", reset_requests="60s")) is None
    assert exhausted([(b"age", b"0"), (b"content-length", b"0")]) is None


def test_nothing_left_of_one_says_until_when() -> None:
    fields = head(
        remaining_requests="9",
        reset_requests="500s",
        remaining_tokens="0",
        reset_tokens="1m30s",
    )
    assert exhausted(fields) == 90.0


def test_nothing_left_of_both_says_the_later() -> None:
    fields = head(
        remaining_requests="0", reset_requests="20ms", remaining_tokens="0", reset_tokens="3s"
    )
    assert exhausted(fields) == 3.0


def test_names_are_in_any_case() -> None:
    assert exhausted([(b"X-RateLimit-Remaining-Requests", b"0"),
                      (b"X-RateLimit-Reset-Requests", b" 2s ")]) == 2.0  # fmt: skip


@pytest.mark.parametrize("reset", ["", "later", "0s"])
def test_until_nobody_knows_when_is_as_if_nothing_was_said(reset: str) -> None:
    assert exhausted(head(remaining_requests="0", reset_requests=reset)) is None


@given(st.binary(max_size=40))
def test_no_text_can_make_it_fail(text: bytes) -> None:
    found = exhausted([(b"x-ratelimit-remaining-x", b"0"), (b"x-ratelimit-reset-x", text)])
    assert found is None or found > 0
