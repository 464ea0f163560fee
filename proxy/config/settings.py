"""Everything the operator can write, as frozen settings with its defaults.

Checked once, here; inside, `build/` turns them into objects. What needs several values at
once (does the target's provider exist?) is checked in `checks.py`, where the places are known.
Seconds are floats, sizes are bytes, secrets are `Secret`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from proxy.config.accounting import Admin, Metrics, Otlp, Price, Spool
from proxy.config.addresses import API, Hosts, Listen, ProxyUrl, RedisUrl, Store
from proxy.config.agents import Agent
from proxy.config.alerts import Alerts
from proxy.config.callers import Access, Authorized, CallerKey, Jwt
from proxy.config.limits import Budgets, Limits, StoreFailure, Walls
from proxy.config.parameters import Parameters
from proxy.config.providers import Provider
from proxy.config.ranges import Tier, Waiting, Window
from proxy.config.routing import (
    ALL_ALIKE,
    Breaker,
    Capabilities,
    Fallback,
    Hedge,
    Rescue,
    Retry,
    Score,
    Status,
    Strategy,
)
from proxy.config.rules import Rule
from proxy.config.section import SettingsSection
from proxy.config.values import (
    Duration,
    Folder,
    Fraction,
    Labels,
    Name,
    Pattern,
    Processes,
    Retention,
    Share,
    Size,
    some,
)


class TlsFiles(SettingsSection):
    """TLS towards clients; both files or none."""

    certificate: Path | None = None
    """PEM file of the certificate and its chain."""
    key: Path | None = None
    """PEM file of its private key."""


class Target(SettingsSection):
    """One way to serve a model."""

    provider: Name
    """A name under `providers`."""
    model: Pattern
    """The name the provider knows; `*` becomes what the `*` of the model's name stood for."""
    weight: Share = 1.0
    """Its share of the requests; 0: only when the others cannot be reached."""
    tier: Tier = 1
    """Those of tier 2 are tried when all of tier 1 are out."""
    quality: Fraction | None = None
    """How good its answers are; None: what the model says, as with the next two."""
    capabilities: Capabilities | None = None
    context_window: Window | None = None
    price: Price | None = None
    """What it costs; None: what the model says, or the price table."""


class Model(SettingsSection):
    """What clients may put in `model`."""

    targets: Annotated[tuple[Target, ...], AfterValidator(some)]
    """At least one; the next is tried when one cannot be reached."""
    strategy: Strategy = "weighted"
    """How the order of the targets of a tier is found for each request."""
    score: Score = ALL_ALIKE
    """What strategy `score` judges them by."""
    retry: Retry = Retry()
    fallback: Fallback = Fallback()
    rescue: Rescue = ()
    """What is tried, in this order, when an answer is cut in mid-stream."""
    hedge: Hedge = Hedge()
    breaker: Breaker = Breaker()
    parameters: Parameters = Field(default_factory=Parameters)
    quality: Fraction | None = None
    """How good its answers are, from 0 to 1; None: nobody knows."""
    capabilities: Capabilities | None = None
    """What it can do; None: everything but `prefill`."""
    context_window: Window | None = None
    """How many tokens it takes, in and out; None: not known."""
    status: Status = "active"
    """deprecated: served and marked. inactive: not served."""
    tags: Labels = ()
    """Words about it, for people and reports."""
    price: Price | None = None
    """What each target without a price of its own costs; None: what the price table says."""
    limits: Limits = Limits()
    """Of all callers together."""
    budgets: Budgets = ()
    """Of all callers together."""
    access: Access = "internal"
    """The clearance that it needs."""
    authorized: Authorized = Authorized()


class Passthrough(SettingsSection):
    """Where `/v1` operations without a model go."""

    provider: Name
    """A name under `providers`."""


class Proxies(SettingsSection):
    """Forward proxies on the way to providers; defaults from the environment."""

    https: ProxyUrl | None = None
    """For https base URLs; default: HTTPS_PROXY."""
    http: ProxyUrl | None = None
    """For http base URLs; default: HTTP_PROXY."""
    none: Hosts = ()
    """Hosts that are called directly; default: NO_PROXY. `*` is every host."""


class Log(SettingsSection):
    """The process log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["json", "text"] = "json"
    """One JSON object a line, or text for people."""


class Telemetry(SettingsSection):
    """What is told about the traffic."""

    log: Log = Log()
    content: Literal["none", "metadata", "full"] = "metadata"
    """What is kept of what is said: no names that the request chose either, all but the text, or
    the text too."""
    retention: Retention = 7 * 86400.0
    """How long single usage records are kept in the store."""
    otlp: Otlp = Otlp()
    metrics: Metrics = Metrics()


class Settings(SettingsSection, defer_build=False):
    """The whole configuration, resolved."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)  # `global`.

    listen: Listen = API
    """Where the OpenAI-compatible API listens."""
    workers: Processes = 1
    """Worker processes; `auto` is one per core."""
    http_server: Literal["httptools", "aiohttp"] = "httptools"
    """Whose parser and connections serve `listen`."""
    tls: TlsFiles = TlsFiles()
    max_body: Size = 32 * 1024 * 1024
    """A larger request is refused with 413."""
    drain: Duration = 30.0
    """How long SIGTERM waits for requests in flight."""
    auth: Literal["required", "none"] = "required"
    """Whether callers need a key."""
    data_dir: Folder = Path("data")
    """Where the spool and the embedded database live. Loaded from a file it is absolute."""
    store: Store = "embedded"
    """The private PostgreSQL under `data_dir`, or the URL (a Secret) of another."""
    spool: Spool = Spool()
    admin: Admin = Admin()
    providers: Mapping[str, Provider] = Field(default_factory=dict)
    models: Mapping[str, Model] = Field(default_factory=dict)
    passthrough: Passthrough | None = None
    rules: tuple[Rule, ...] = ()
    """Which model answers which request; the first that holds decides."""
    redis: RedisUrl | None = None
    """The URL (a Secret) of the Redis that workers and hosts share; None: the worker's memory."""
    store_failure: StoreFailure = StoreFailure()
    max_queue: Waiting = 0
    """Requests that may wait for a slot where `concurrency` is used up; 0: refused at once."""
    budget_status: Literal[402, 422, 429] = 429
    """The status of a request that a budget refuses."""
    keys: tuple[CallerKey, ...] = ()
    jwt: tuple[Jwt, ...] = ()
    """Identity providers whose tokens are callers too."""
    teams: Mapping[str, Walls] = Field(default_factory=dict)
    """Limits and budgets of each team; `*`: of each that has no entry, and so in all scopes."""
    users: Mapping[str, Walls] = Field(default_factory=dict)
    projects: Mapping[str, Walls] = Field(default_factory=dict)
    customers: Mapping[str, Walls] = Field(default_factory=dict)
    agents: Mapping[str, Agent] = Field(default_factory=dict)
    sessions: Mapping[str, Walls] = Field(default_factory=dict)
    tags: Mapping[str, Walls] = Field(default_factory=dict)
    everyone: Walls = Field(default=Walls(), alias="global")
    """Of all requests together."""
    proxies: Proxies = Proxies()
    telemetry: Telemetry = Telemetry()
    alerts: Alerts = ()
    """Who is told when a budget passes one of its `alerts`."""

    @property
    def worker_count(self) -> int:
        """`workers` as a number, on the machine that asks."""
        if isinstance(self.workers, int):
            return self.workers
        return (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
