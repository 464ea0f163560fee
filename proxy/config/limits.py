"""Settings of who may spend what: limits, budgets and the scopes that have them."""

from decimal import Decimal
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, StrictBool, StrictInt, model_validator

from proxy.config.amounts import Usd
from proxy.config.section import SettingsSection
from proxy.config.values import Fraction, distinct

MOST = 10**12
_MOST_WINDOWS = 12
_MOST_PERCENT = 1000
_KINDS = Literal["deny", "allow", "local"]


def _limit(value: int) -> int:
    if not 0 <= value <= MOST:
        raise ValueError(f"must be a whole number from 0 to {MOST}")
    return value


def _zone(value: object) -> object:
    try:
        ZoneInfo(value if isinstance(value, str) else "")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone such as UTC or Europe/Berlin") from None
    return value


def _percent(value: int) -> int:
    if not 1 <= value <= _MOST_PERCENT:
        raise ValueError(f"must be whole percents from 1 to {_MOST_PERCENT}")
    return value


def _windows(value: int) -> int:
    if not 1 <= value <= _MOST_WINDOWS:
        raise ValueError(f"must be a number of periods from 1 to {_MOST_WINDOWS}")
    return value


def _more_than_nothing(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


Limit = Annotated[StrictInt, AfterValidator(_limit)]
Percent = Annotated[StrictInt, AfterValidator(_percent)]
Zone = Annotated[str, BeforeValidator(_zone)]
Amount = Annotated[Usd, AfterValidator(_more_than_nothing)]


class Limits(SettingsSection):
    """How much at most; what is left out has no limit, 0 lets nothing through."""

    rpm: Limit | None = None
    """Requests in any minute."""
    tpm: Limit | None = None
    """Tokens, in and out, in any minute."""
    rpd: Limit | None = None
    """Requests in any 24 hours."""
    tpd: Limit | None = None
    """Tokens in any 24 hours."""
    concurrency: Limit | None = None
    """Requests at the same time."""
    tokens_per_request: Limit | None = None
    """Tokens, in and out, of one request."""


class Rollover(SettingsSection):
    """What becomes of unspent money."""

    fraction: Fraction
    """The part of it that the next periods may spend as well."""
    expires: Annotated[StrictInt, AfterValidator(_windows)] = 1
    """For so many periods."""


class Budget(SettingsSection):
    """An amount of money per period."""

    amount: Amount
    """USD."""
    period: Literal["day", "week", "month", "total"]
    """A calendar period, weeks from Monday; `total` is for ever."""
    zone: Zone = "UTC"
    """The time zone whose calendar it is."""
    hard: StrictBool = True
    """true: a wall, never passed. false: counted and told, refuses nobody."""
    alerts: Annotated[tuple[Percent, ...], AfterValidator(distinct)] = ()
    """Percents of the amount at which `alerts` are sent, once in each period."""
    rollover: Rollover | None = None
    """None: what is not spent is gone."""

    @model_validator(mode="after")
    def _rolls_somewhere(self) -> Self:
        if self.rollover is not None and self.period == "total":
            raise ValueError("cannot have a `rollover` with period total, which never ends")
        return self


def _one_per_period(budgets: tuple[Budget, ...]) -> tuple[Budget, ...]:
    if len({(budget.period, budget.hard) for budget in budgets}) < len(budgets):
        raise ValueError("may have one hard and one soft budget for each period")
    return budgets


Budgets = Annotated[tuple[Budget, ...], AfterValidator(_one_per_period)]


class Walls(SettingsSection):
    """The limits and budgets of a scope."""

    limits: Limits = Limits()
    budgets: Budgets = ()


class StoreFailure(SettingsSection):
    """What happens to a request while Redis cannot be asked."""

    limits: _KINDS = "local"
    """deny: refused. allow: served. local: counted in the worker, its share of each limit."""
    budgets: _KINDS = "deny"
    """As above, for money."""
    cache: _KINDS = "allow"
    """For the cache: allow means to go on without it."""
