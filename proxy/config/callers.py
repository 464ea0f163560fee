"""Settings of who may call: virtual keys, tokens of an identity provider, access levels."""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    model_validator,
)

from proxy.config.addresses import BaseUrl, base_url
from proxy.config.limits import Budgets, Limits, Walls
from proxy.config.near import nearest
from proxy.config.section import SettingsSection
from proxy.config.values import Duration, Key, Label, Labels, Moment, Name, Pattern, some
from proxy.wire.operations import PASSTHROUGH, WITH_MODEL

Access = Literal["public", "internal", "confidential", "restricted", "classified"]

OPERATIONS = (*(operation.name for operation in WITH_MODEL), PASSTHROUGH.name)


def network(value: object) -> str:
    """An address, or a network in CIDR notation."""
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else "", strict=False))
    except ValueError:
        raise ValueError("must be an address or a network such as 10.0.0.0/8") from None


def key_name(value: str) -> str:
    """The name of a key. What it spends on a model is counted as `<key>/<model>`."""
    if "/" in value:
        raise ValueError("must have no `/`, which parts a key from a model where both are counted")
    return value


def operation(value: object) -> str:
    """The name of an operation."""
    if isinstance(value, str) and value in OPERATIONS:
        return value
    near = nearest(value, OPERATIONS) if isinstance(value, str) else None
    hint = f"did you mean `{near}`?" if near else f"known: {', '.join(OPERATIONS)}"
    raise ValueError(f"must be an operation; {hint}")


KeyName = Annotated[Name, AfterValidator(key_name)]
Network = Annotated[str, PlainValidator(network), PlainSerializer(str)]
Operation = Annotated[str, PlainValidator(operation), PlainSerializer(str)]


class Rights(SettingsSection):
    """What a caller may do, and whose it is; the same for a key and for a token's bearer."""

    models: tuple[Pattern, ...] = ("*",)
    """The models it may use; one `*` in each stands for anything."""
    operations: tuple[Operation, ...] | None = None
    """The operations it may use; None: all."""
    team: Label | None = None
    """Whose usage it is, in records, limits and reports, as are the next five."""
    user: Label | None = None
    project: Label | None = None
    agent: Label | None = None
    tags: Labels = ()
    tier: Label | None = None
    """A word that rules can ask for."""
    clearance: Access = "internal"
    """The highest `access` of a model that it may use."""
    roles: Labels = ()
    """What a model's `authorized.roles` are compared with."""
    limits: Limits = Limits()
    """Its own limits, besides those of its team and others."""
    budgets: Budgets = ()
    """Its own budgets, besides those of its team and others."""


class VirtualKey(Rights, defer_build=False):
    """A key's owner and rights, wherever the key itself is kept."""

    name: KeyName
    """Shown in logs and records instead of the key."""
    expires: Moment | None = None
    """From this moment on it is refused."""
    blocked: StrictBool = False
    """true: refused until it is false again."""
    ips: tuple[Network, ...] = ()
    """Addresses and networks it may call from; none: from anywhere."""
    model_limits: Mapping[Pattern, Walls] = Field(default_factory=dict)
    """Limits and budgets of this key for one model each."""
    metadata: Mapping[str, str] = Field(default_factory=dict)
    """Whatever the operator wants to keep with it."""


class CallerKey(VirtualKey):
    """A virtual key of the configuration."""

    key: Key
    """What the caller sends."""


class Claims(SettingsSection):
    """Which claims of a token say what; a dot goes into an object: `org.team`."""

    name: Label = "sub"
    """What the caller is called in records, before `@` and the issuer. It must be one that bearers
    cannot choose: limits and budgets go by it."""
    team: Label | None = None
    user: Label | None = "sub"
    project: Label | None = None
    tier: Label | None = None
    clearance: Label | None = None
    roles: Label | None = None
    """A list, or text separated by spaces."""
    models: Label | None = None
    """A list of models, instead of those of `grants`."""


class Jwt(SettingsSection):
    """Bearer tokens of an identity provider (RFC 7519, OpenID Connect) as callers."""

    issuer: Name
    """What `iss` must say."""
    audience: Annotated[tuple[Name, ...], AfterValidator(some)]
    """One of these must be in `aud`."""
    jwks: BaseUrl = ""
    """Where its keys are (RFC 7517); default: what its OpenID configuration says."""
    algorithms: tuple[
        Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"], ...
    ] = (
        "RS256",
        "ES256",
    )
    """What tokens may be signed with."""
    leeway: Duration = 30.0
    """How much the clocks may differ."""
    claims: Claims = Claims()
    grants: Rights = Rights()
    """What every bearer may do; what claims say comes before it."""

    @model_validator(mode="after")
    def _keys_can_be_found(self) -> Self:
        if not self.jwks:
            try:
                _ = base_url(self.issuer)
            except ValueError:
                raise ValueError("must have `jwks`, or an `issuer` that is a URL") from None
        return self


class Authorized(SettingsSection):
    """Who may use a model; none named: everyone with the clearance."""

    users: Labels = ()
    roles: Labels = ()
