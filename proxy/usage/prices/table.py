"""What a model costs at a vendor at a time; None where nobody knows: a guess is no price.

The catalogue is read when the first price is asked for. Each name is worked out once: then a look
into a dict of bounded size. Prices have dates, so that a new one never changes what something cost
before.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from proxy.usage.prices.catalogue import Catalogue
from proxy.usage.prices.names import LONGEST, VENDORS_AT_OPENROUTER, spellings
from proxy.usage.prices.price import COLUMNS, FREE, Price

_KEPT = 4096
_DAY = 86_400
_OPENAI = "https://api.openai.com"
_PROVIDERS = {
    "gemini": "google",
    "vertex": "google",
    "bedrock": "aws",
    "xai": "x-ai",
}
_SELF_HOSTED = frozenset(("demo", "ollama", "lmstudio", "vllm", "llamacpp"))

_Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Period:
    price: Price
    start: float | None = None  # Seconds since the epoch.
    hours: tuple[int, int] | None = None  # Seconds of the UTC day; the end may be on the next.

    def holds(self, at: float) -> bool:
        if self.start is not None:
            return at >= self.start
        if self.hours is None:
            return True
        start, end = self.hours
        second = at % _DAY
        return start <= second < end if start <= end else second >= start or second < end


class PriceTable:
    """Prices by vendor and model. One per worker; `load` says when the catalogue is read."""

    __slots__ = ("_catalogue", "_found", "_load")

    def __init__(self, load: Callable[[], Catalogue]) -> None:
        self._load = load
        self._catalogue: Catalogue | None = None
        self._found: dict[_Key, tuple[_Period, ...]] = {}

    @property
    def catalogue(self) -> Catalogue:
        """The edition in use; read now if it was not yet."""
        if self._catalogue is None:
            self._catalogue = self._load()
        return self._catalogue

    @property
    def version(self) -> str:
        """What records say their prices are from."""
        return self.catalogue.version

    def price(
        self, provider_kind: str, base_url_host: str, model: str, at: float, tier: str = ""
    ) -> Price | None:
        """The price at `at` (seconds since the epoch), or None when it is not known.

        `base_url_host` may be a whole base URL. `tier`: batch, flex, priority or fast; a model
        without a price for a tier costs what it costs without."""
        key = provider_kind, base_url_host, model, tier
        periods = self._found.get(key)
        if periods is None:
            if len(self._found) >= _KEPT:
                self._found.clear()
            periods = self._found[key] = self._periods(key)
        if len(periods) == 1:
            return periods[0].price
        for period in reversed(periods):
            if period.holds(at):
                return period.price
        return periods[0].price if periods else None

    def provider(self, kind: str, base_url: str) -> str | None:
        """The vendor of the catalogue that a configured provider is."""
        if kind in _SELF_HOSTED:
            return None
        if kind == "openai":
            return self.catalogue.provider_at(base_url or _OPENAI)
        name = _PROVIDERS.get(kind, kind)
        return name if name in self.catalogue.providers else None

    def entry(self, provider: str, model: str) -> Mapping[str, Any] | None:
        """The catalogue's entry for a model, however it is spelled."""
        for name in spellings(provider, model):
            if (entry := self.catalogue.find(provider, name)) is not None:
                return entry
            vendor, _, own = name.partition("/")
            if provider == "openrouter" and own and vendor in VENDORS_AT_OPENROUTER:
                entry = self.catalogue.find(VENDORS_AT_OPENROUTER[vendor], own)
                if entry is not None and not own.endswith(":free"):
                    return entry
        return None

    def _periods(self, key: _Key) -> tuple[_Period, ...]:
        kind, base_url, model, tier = key
        provider = self.provider(kind, base_url)
        if provider is None or not 0 < len(model) <= LONGEST:
            return ()
        if provider == "openrouter" and model.endswith(":free"):
            return (_Period(FREE),)  # By OpenRouter's own definition.
        entry = self.entry(provider, model)
        if entry is None:
            return ()
        window = entry.get("context_window")
        tiers = entry.get("tiers", {})
        priced = tiers.get(tier) or entry["periods"]
        return tuple(_period(each, window, frozenset(tiers)) for each in priced)


def price_of_row(
    period: Mapping[str, Any],
    context_window: int | None = None,
    tiers: frozenset[str] = frozenset(),
) -> Price:
    """The price that a period of the catalogue writes as rows of rates."""
    return Price.of(
        _rates(period["rates"]),
        above=tuple(
            (start, Price.of(_rates(row), context_window=context_window))
            for start, row in period.get("above", ())
        ),
        context_window=context_window,
        tiers=tiers,
    )


def _rates(row: Iterable[int | None]) -> dict[str, int]:
    return {name: rate for name, rate in zip(COLUMNS, row, strict=False) if rate is not None}


def _period(written: Mapping[str, Any], window: int | None, tiers: frozenset[str]) -> _Period:
    start = None
    if "from" in written:
        start = datetime.fromisoformat(written["from"]).replace(tzinfo=UTC).timestamp()
    hours = None
    if "hours" in written:
        begin, end = written["hours"]
        hours = begin * 60, end * 60
    return _Period(price_of_row(written, window, tiers), start, hours)
