"""What an alert says, and that receivers of Standard Webhooks accept it."""

import pytest

from proxy.alerts.message import body, dollars, headers
from proxy.alerts.thresholds import Crossing
from proxy.base.jsonio import loads
from proxy.base.periods import ALL_TIME, Span
from tests.unit.alerts.alert_cases import DAY, KEY, MIDNIGHT, NOON, TEAM, USD


def test_the_signature_is_that_of_the_published_example() -> None:
    signed = dict(headers(KEY, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'))
    assert signed == {
        b"webhook-id": b"msg_p5jXN8AQM9LWM0D4loKWxJek",
        b"webhook-timestamp": b"1614265330",
        b"webhook-signature": b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_body_says_whose_budget_how_much_and_when() -> None:
    window = Span(MIDNIGHT, MIDNIGHT + DAY)
    said = loads(body(Crossing(TEAM, TEAM.scope, window, 80, 8 * USD + 1), NOON))
    assert said == {
        "type": "budget.threshold",
        "timestamp": "2025-11-20T12:00:00Z",
        "data": {
            "scope": {"kind": "team", "name": "search"},
            "budget": {"amount": "10", "period": "day", "zone": "UTC", "hard": True},
            "percent": 80,
            "spent": "8.000000001",
            "window": {"start": "2025-11-20T00:00:00Z", "end": "2025-11-21T00:00:00Z"},
        },
    }


def test_a_total_has_no_window() -> None:
    said = loads(body(Crossing(TEAM, TEAM.scope, ALL_TIME, 80, 8 * USD), NOON))
    assert said["data"]["window"] == {"start": None, "end": None}


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (15_000 * USD, "15000"),
        (10**21 + 1, "1000000000000.000000001"),
    ],
)
def test_money_is_exact(nano: int, text: str) -> None:
    assert dollars(nano) == text
