"""Telemetry's options from the settings: what may be a label, whom we call, where spans go."""

from urllib.parse import urlsplit

from proxy.config.settings import Settings
from proxy.telemetry.options import (
    Known,
    MetricsOptions,
    OtlpOptions,
    TelemetryOptions,
    Vendor,
)


def telemetry_options(settings: Settings, version: str, instance: str) -> TelemetryOptions:
    """The options. `version` is the release, `instance` tells several proxies apart."""
    return TelemetryOptions(
        known=_known(settings),
        vendors={
            name: _vendor(provider.kind, provider.base_url)
            for name, provider in settings.providers.items()
        },
        metrics=MetricsOptions(labels=settings.telemetry.metrics.labels),
        otlp=_otlp(settings),
        version=version,
        instance=instance,
    )


def _known(settings: Settings) -> Known:
    targets = [target for model in settings.models.values() for target in model.targets]
    return Known(
        models=frozenset(settings.models),
        providers=frozenset(settings.providers),
        teams=frozenset(key.team for key in settings.keys if key.team),
        keys=frozenset((*(key.name for key in settings.keys), "anonymous", "unknown")),
        upstream_models=frozenset(target.model for target in targets if "*" not in target.model),
    )


def _vendor(kind: str, base_url: str) -> Vendor:
    parts = urlsplit(base_url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return Vendor(kind, parts.hostname, port)


def _otlp(settings: Settings) -> OtlpOptions | None:
    chosen = settings.telemetry.otlp
    if chosen.endpoint is None:
        return None
    return OtlpOptions(
        endpoint=chosen.endpoint,
        protocol=chosen.protocol,
        sample=chosen.sample,
        names=frozenset(chosen.names),
        headers={name: value.reveal() for name, value in chosen.headers.items()},
    )
