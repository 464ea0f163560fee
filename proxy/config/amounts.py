"""Amounts of money that the operator writes: exact decimals, never binary floats.

`0.1` in a file is one tenth of a dollar to the last digit. A YAML number keeps its text
(`scalars.Number`) and that text is read here. Nine decimals are nano-dollars, the unit in which all
money is counted, so that `int(usd * 10**9)` loses nothing.
"""

import re
from decimal import Context, Decimal
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from proxy.config.scalars import Number

_DECIMAL = re.compile(r"\+?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?", re.ASCII)
_LONGEST = 40
_MOST = 1_000_000
_DECIMALS = 9


def usd(value: object) -> Decimal:
    """An amount in dollars: a number, or the same as text."""
    text = _text(value)
    if not _DECIMAL.fullmatch(text):
        raise ValueError("must be a price in USD such as 2.5, 0 or more")
    if len(text) > _LONGEST:
        raise ValueError(f"must have {_LONGEST} digits at most")
    amount = Decimal(text)
    if amount > _MOST:
        raise ValueError(f"must be a price in USD, {_MOST} at most")
    # So that 2.50 and 2.5 are the same configuration.
    amount = amount.normalize(Context(prec=_LONGEST))
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_DECIMALS:
        raise ValueError(f"must have {_DECIMALS} decimals at most")
    return amount


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case Number():
            return value.written
        case Decimal():
            return format(value, "f")
        case bool():
            return ""
        case int() | float():
            return repr(value)
        case _:
            return ""


def plain(amount: Decimal) -> str:
    return format(amount, "f")


Usd = Annotated[Decimal, PlainValidator(usd), PlainSerializer(plain)]
