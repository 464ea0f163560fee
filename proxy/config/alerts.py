"""Settings of whom to tell when something needs a look: signed webhooks."""

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer, PlainValidator

from proxy.base.secret import Secret
from proxy.config.addresses import WebhookUrl
from proxy.config.near import nearest
from proxy.config.planned import NOT_BUILT
from proxy.config.section import SettingsSection
from proxy.config.values import distinct, secret, shown, some

OCCASIONS = ("budget",)
PLANNED_OCCASIONS = ("outage", "degradation")

_PREFIX = "whsec_"
_KEY_BYTES = (24, 64)  # As Standard Webhooks says.
_SHORTEST_PLAIN = 16


def occasion(value: object) -> str:
    """What alerts are sent for."""
    if value in PLANNED_OCCASIONS:
        raise ValueError(f"is `{value}`, which is {NOT_BUILT}; use budget")
    if not isinstance(value, str) or value not in OCCASIONS:
        known = (*OCCASIONS, *PLANNED_OCCASIONS)
        near = nearest(value, known) if isinstance(value, str) else None
        raise ValueError("must be budget" + (f"; did you mean `{near}`?" if near else ""))
    return value


def signing_secret(value: object) -> Secret:
    """What alerts are signed with, in one of its two forms."""
    found = secret(value)
    if not found.reveal().startswith(_PREFIX):
        if len(found.reveal()) < _SHORTEST_PLAIN:
            raise ValueError(f"must have {_SHORTEST_PLAIN} characters or more")
    elif not _KEY_BYTES[0] <= len(signing_key(found)) <= _KEY_BYTES[1]:
        raise ValueError("must be whsec_ and the base64 of 24 to 64 bytes")
    return found


def signing_key(found: Secret) -> bytes:
    """The bytes of a signing secret: base64 behind `whsec_`, else the text itself."""
    text = found.reveal()
    if not text.startswith(_PREFIX):
        return text.encode("ascii")
    bare = text.removeprefix(_PREFIX).rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        raise ValueError("must be whsec_ and the base64 of 24 to 64 bytes") from None


Occasion = Annotated[str, PlainValidator(occasion), PlainSerializer(str)]
SigningSecret = Annotated[Secret, PlainValidator(signing_secret), PlainSerializer(shown)]


class Webhook(SettingsSection):
    """A receiver of alerts."""

    on: Annotated[tuple[Occasion, ...], AfterValidator(some), AfterValidator(distinct)] = (
        "budget",
    )
    """What it is told of."""
    webhook: WebhookUrl
    """Where alerts are sent (a Secret: whoever knows it can send there too)."""
    secret: SigningSecret
    """What they are signed with."""


def _one_each(webhooks: tuple[Webhook, ...]) -> tuple[Webhook, ...]:
    if len({each.webhook for each in webhooks}) < len(webhooks):
        raise ValueError("must not have the same webhook twice")
    return webhooks


Alerts = Annotated[tuple[Webhook, ...], AfterValidator(_one_each)]
