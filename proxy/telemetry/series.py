"""What is counted for one combination of label values: one object, so that a record costs one
look-up and a few additions."""

from proxy.telemetry.histogram import LATENCY, OVERHEAD, PER_TOKEN, Histogram
from proxy.wire.lots import Lot
from proxy.wire.record import Usage, UsageRecord

TOKEN_TYPES = (
    "input",
    "output",
    "cached_read",
    "cache_write",
    "reasoning",
    "audio_in",
    "audio_out",
)


class Counts:
    """Requests, tokens and money."""

    __slots__ = ("images", "nano_usd", "requests", "unpriced", *TOKEN_TYPES)

    def __init__(self) -> None:
        self.requests = 0
        self.unpriced = 0
        self.nano_usd = 0
        self.images = 0
        self.input = 0
        self.output = 0
        self.cached_read = 0
        self.cache_write = 0
        self.reasoning = 0
        self.audio_in = 0
        self.audio_out = 0

    def observe(self, record: UsageRecord) -> None:
        self.requests += 1
        if record.unpriced:
            self.unpriced += 1
        self.nano_usd += spent(record)
        if record.usage is not None:
            self._add(record.usage)

    def observe_lot(self, lot: Lot) -> None:
        numbers = lot.numbers
        self.requests += len(numbers)
        self.nano_usd += sum([each.cost for each in numbers])
        self.input += sum([each.input for each in numbers])
        self.output += sum([each.output for each in numbers])

    def _add(self, usage: Usage) -> None:
        self.input += usage.input
        self.output += usage.output
        if usage.cached_read:
            self.cached_read += usage.cached_read
        if usage.cache_write:
            self.cache_write += usage.cache_write
        if usage.reasoning:
            self.reasoning += usage.reasoning
        if usage.audio_in or usage.audio_out or usage.images:
            self.audio_in += usage.audio_in
            self.audio_out += usage.audio_out
            self.images += usage.images


class Timings:
    """How long things took."""

    __slots__ = ("duration", "first_token", "overhead", "per_token")

    def __init__(self) -> None:
        self.duration = Histogram(LATENCY)
        self.first_token = Histogram(LATENCY)
        self.per_token = Histogram(PER_TOKEN)
        self.overhead = Histogram(OVERHEAD)

    def observe(self, record: UsageRecord) -> None:
        self.duration.observe(record.done)
        if record.overhead is not None:
            self.overhead.observe(record.overhead)
        if record.stream and record.first_token is not None:
            self.first_token.observe(record.first_token)
            pace = per_token(record)
            if pace is not None:
                self.per_token.observe(pace)

    def observe_lot(self, lot: Lot) -> None:
        numbers = lot.numbers
        self.duration.observe_all([each.done for each in numbers])
        self.overhead.observe_all([each.overhead for each in numbers])
        if lot.standing.stream:
            self.first_token.observe_all([each.first_token for each in numbers])
            self.per_token.observe_all(paces(lot))


class Tally:
    """A count."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


def spent(record: UsageRecord) -> int:
    """Nano-USD of all attempts that have a price."""
    if record.cost is not None:
        return record.cost
    return sum(attempt.cost.total for attempt in record.attempts if attempt.cost is not None)


def per_token(record: UsageRecord) -> int | None:
    """Microseconds per output token after the first, of a stream that ended well."""
    usage = record.usage
    if usage is None or usage.output < 2 or record.first_token is None:
        return None
    if record.outcome != "completed":
        return None
    return _pace(record.done - record.first_token, usage.output)


def paces(lot: Lot) -> list[int]:
    """The same of those in a lot that have it."""
    return [
        _pace(each.done - each.first_token, each.output) for each in lot.numbers if each.output >= 2
    ]


def _pace(took: int, tokens: int) -> int:
    return max(0, took) // (tokens - 1)
