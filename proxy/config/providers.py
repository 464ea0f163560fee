"""Settings of providers: whom we call, with which keys, deadlines and pool."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from proxy.config.addresses import BaseUrl
from proxy.config.amounts import Usd
from proxy.config.fields import Fields, said
from proxy.config.limits import Budgets, Limits
from proxy.config.near import nearest
from proxy.config.planned import NOT_BUILT, PLANNED_KINDS
from proxy.config.ranges import Waiting
from proxy.config.routing import Residency
from proxy.config.scalars import Blank
from proxy.config.section import SettingsSection
from proxy.config.values import Count, Duration, Key, Label, PositiveDuration, Share, positive

KINDS = ("openai", "demo")
BASE_URLS = {"openai": "https://api.openai.com/v1"}
_SHORTEST_ROUND = 1.0


def _round(value: float) -> float:
    if value < _SHORTEST_ROUND:
        raise ValueError("must be 1s or more")
    return value


def _kind(value: object) -> object:
    if value in PLANNED_KINDS:
        raise ValueError(
            f"is `{value}`, which is {NOT_BUILT}; "
            "`openai` with a `base_url` serves every OpenAI-compatible vendor"
        )
    if value not in KINDS:
        near = nearest(value, (*KINDS, *PLANNED_KINDS)) if isinstance(value, str) else None
        hint = f"; did you mean `{near}`?" if near else ""
        raise ValueError(f"must be {' or '.join(KINDS)}{hint}")
    return value


class ProviderTimeouts(SettingsSection):
    """Deadlines of one attempt."""

    connect: PositiveDuration = 5.0
    """Until the connection and TLS stand, waiting for a place in the pool included."""
    first_token: PositiveDuration = 60.0
    """From the request sent to the first byte of the answer's body."""
    idle: PositiveDuration = 60.0
    """The longest silence after that."""
    total: PositiveDuration = 600.0
    """The whole attempt."""


class ProviderPool(SettingsSection):
    """Connections that one worker keeps to this provider."""

    max_connections: Count = 1000
    """At most so many at once."""
    keepalive: Duration = 60.0
    """How long an idle one is kept; 0 keeps none."""


class ProviderTls(SettingsSection):
    """TLS towards this provider."""

    ca: Path | None = None
    """A PEM file of authorities to trust besides the system's."""


class ApiKey(SettingsSection):
    """A key of ours at a vendor; a text by itself is one of weight 1."""

    key: Key
    """What is sent."""
    weight: Annotated[Share, AfterValidator(positive)] = 1.0
    """Its share of the requests."""

    @model_validator(mode="before")
    @classmethod
    def _text_is_a_key(cls, data: Any) -> Any:
        return data if isinstance(data, Mapping | ApiKey) else {"key": data}


class Probe(SettingsSection):
    """Asking a provider whether it is well, besides looking at what becomes of requests."""

    probe: Literal["none", "models", "completion"] = "none"
    """How: not at all, by its list of models, or by a completion of one token."""
    every: Annotated[PositiveDuration, AfterValidator(_round)] = 30.0
    """How often."""
    daily_cost: Usd = Decimal("0.1")
    """The most that completions may cost in a day, in USD; then none are sent until the next."""


class Provider(SettingsSection):
    """One vendor account or server. Kind `demo` needs no address, key or connection."""

    kind: Annotated[Literal["openai", "demo"], BeforeValidator(_kind)]
    """What it speaks: any OpenAI-compatible URL, or the vendor inside this process."""
    base_url: BaseUrl = ""
    """Where its API begins; the default depends on the kind."""
    api_keys: tuple[ApiKey, ...] = ()
    """Its keys, used by weight; empty entries are dropped. None given: no credentials are sent."""
    headers: Fields = Field(default_factory=dict)
    """Header fields sent with every request."""
    timeouts: ProviderTimeouts = ProviderTimeouts()
    pool: ProviderPool = ProviderPool()
    tls: ProviderTls = ProviderTls()
    limits: Limits = Limits()
    """The vendor's own, kept on our side."""
    budgets: Budgets = ()
    """What may be spent there."""
    queue: Waiting = 0
    """Requests of a worker that may wait for room in `limits`; 0: the next target at once."""
    health: Probe = Probe()
    region: Label | None = None
    """Where it computes, in your own words."""
    residency: Residency = "cloud"
    """local: what is sent there does not leave the house. The default of kind demo."""
    enabled: bool = Field(default=True, strict=True)
    """false: as if the provider's targets were not there."""
    delay: Duration = 0.02
    """Kind demo only: the pause between two words."""
    off_reason: str | None = Field(default=None, json_schema_extra={"derived": True})
    """Why no request can be sent to it, or None. Never written, always derived."""

    @classmethod
    def derive(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        derived = dict(data)
        kind = data.get("kind")
        if not data.get("base_url") and isinstance(kind, str) and kind in BASE_URLS:
            derived["base_url"] = BASE_URLS[kind]
        if kind == "demo" and not data.get("residency"):
            derived["residency"] = "local"
        if kind == "openai" and "off_reason" not in data:
            derived["off_reason"] = _no_keys(data.get("api_keys"))
        if isinstance(keys := data.get("api_keys"), list | tuple):
            derived["api_keys"] = [key for key in keys if not _empty(key)]
        if isinstance(headers := data.get("headers"), Mapping):
            derived["headers"] = said(headers)
        if data.get("enabled") is False:
            derived["off_reason"] = "enabled is false"
        return derived


def _empty(key: object) -> bool:
    if isinstance(key, Mapping) and "key" in key:
        key = key["key"]
    return key is None or key == ""


def _no_keys(keys: object) -> str | None:
    """Why a list of keys that was given holds none."""
    if not isinstance(keys, list | tuple) or not all(map(_empty, keys)):
        return None
    texts = (key["key"] if isinstance(key, Mapping) else key for key in keys)
    names = [name for text in texts if isinstance(text, Blank) for name in text.variables]
    if not names:
        return "api_keys is empty"
    verb = "is" if len(names) == 1 else "are"
    return f"api_keys is empty ({verb} {' or '.join(dict.fromkeys(names))} set?)"
