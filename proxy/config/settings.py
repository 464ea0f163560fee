"""Everything the operator can write, as frozen settings with its defaults.

Checked once, here; inside, `build/` turns them into objects. What needs several values at
once (does the target's provider exist?) is checked in `checks.py`, where the places are known.
Seconds are floats, sizes are bytes, secrets are `Secret`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from proxy.config.accounting import Admin, Metrics, Otlp, Price, Spool
from proxy.config.addresses import API, Hosts, Listen, ProxyUrl, Store
from proxy.config.near import nearest
from proxy.config.planned import NOT_BUILT, PLANNED_STRATEGIES
from proxy.config.providers import Provider
from proxy.config.section import SettingsSection
from proxy.config.values import (
    Duration,
    Folder,
    Key,
    Label,
    Labels,
    Moment,
    Name,
    Pattern,
    Processes,
    Retention,
    Share,
    Size,
    some,
)


def _strategy(value: object) -> object:
    if value in PLANNED_STRATEGIES:
        raise ValueError(f"is `{value}`, which is {NOT_BUILT}; use weighted")
    if value != "weighted":
        known = ("weighted", *PLANNED_STRATEGIES)
        near = nearest(value, known) if isinstance(value, str) else None
        raise ValueError("must be weighted" + (f"; did you mean `{near}`?" if near else ""))
    return value


def _content(value: object) -> object:
    if value == "full":
        raise ValueError(
            "`full` is part of the configuration language but not built in this version; "
            "use metadata"
        )
    return value


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
    price: Price | None = None
    """What it costs; None: what the model says, or the price table."""


class Model(SettingsSection):
    """What clients may put in `model`."""

    targets: Annotated[tuple[Target, ...], AfterValidator(some)]
    """At least one; the next is tried when one cannot be reached."""
    strategy: Annotated[Literal["weighted"], BeforeValidator(_strategy)] = "weighted"
    """How the order of the targets is drawn for each request."""
    price: Price | None = None
    """What each target without a price of its own costs; None: what the price table says."""


class Passthrough(SettingsSection):
    """Where `/v1` operations without a model go."""

    provider: Name
    """A name under `providers`."""


class CallerKey(SettingsSection):
    """A virtual key: who may call, and which models."""

    name: Name
    """Shown in logs and records instead of the key."""
    key: Key
    """What the caller sends."""
    models: tuple[Pattern, ...] = ("*",)
    """The models it may use; one `*` in each stands for anything."""
    expires: Moment | None = None
    """From this moment on it is refused."""
    team: Label | None = None
    """Whose usage it is, in records and reports, as are the next three."""
    user: Label | None = None
    project: Label | None = None
    tags: Labels = ()


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
    content: Annotated[Literal["none", "metadata"], BeforeValidator(_content)] = "metadata"
    """What is kept of prompts and answers: in this version never their text."""
    retention: Retention = 7 * 86400.0
    """How long single usage records are kept in the store."""
    otlp: Otlp = Otlp()
    metrics: Metrics = Metrics()


class Settings(SettingsSection):
    """The whole configuration, resolved."""

    listen: Listen = API
    """Where the OpenAI-compatible API listens."""
    workers: Processes = 1
    """Worker processes; `auto` is one per core."""
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
    keys: tuple[CallerKey, ...] = ()
    proxies: Proxies = Proxies()
    telemetry: Telemetry = Telemetry()

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
