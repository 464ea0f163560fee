"""The worker's side of health: who tells it to others, and what operators say of it.

`Healths` lives as long as the worker. With Redis open breakers are shared; what operators switch
comes from the store by way of the host's directory (admin/targets.py writes it).
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from proxy.base.clock import monotonic
from proxy.config.settings import Settings
from proxy.core.runtime import Runtime
from proxy.core.switches import read_name, read_state
from proxy.providers.keyring import Keys
from proxy.routing.health import Mode, Name, TargetHealth
from proxy.routing.healths import Healths, Switches

if TYPE_CHECKING:
    from proxy.build.sharing import SharedBreakers

log = logging.getLogger("llm-proxy.health")

_MOST_TOLD = 200


def sharing(settings: Settings, healths: Healths) -> "SharedBreakers | None":
    """What shares breakers; None without Redis."""
    if settings.redis is None:
        return None
    from proxy.build.sharing import SharedBreakers  # noqa: PLC0415 - Most workers need no Redis.

    return SharedBreakers(settings.redis.reveal(), healths)


def switches(documents: Mapping[str, bytes]) -> Switches:
    """What operators have switched, by the documents of the store."""
    targets: dict[Name, Mode] = {}
    providers: dict[str, str] = {}
    for name, document in documents.items():
        try:
            what, state = read_name(name), read_state(document)
        except ValueError as error:
            log.error("the switch %s is not understood: %s", name, error)  # noqa: TRY400
            continue
        if state == "disabled":
            providers[what.provider] = "an operator has disabled the provider"
        elif what.model:
            targets[Name(what.model, what.provider, what.there)] = state
    return Switches(targets, providers)


def standings(healths: Healths) -> list[dict[str, object]]:
    """How the targets of this worker are, for control to tell: those in trouble first, then those
    that were asked, no more than a file takes that is written once a second."""
    now = monotonic()
    named = (each for each in healths.known() if each.name.route)
    known = sorted(named, key=lambda each: (each.why_not(now) is None, -each.checked))
    return [_standing(each, now) for each in known[:_MOST_TOLD]]


def _standing(health: TargetHealth, now: float) -> dict[str, object]:
    fault = health.fault
    return {
        **health.name._asdict(),
        "status": _status(health, now),
        "why": health.why_not(now),
        "left": max(0.0, health.opens() - now),
        "mode": health.mode,
        "in_flight": health.in_flight,
        "availability": health.availability(now),
        "latency": health.quantile(0.5) or health.latency(),
        "checked": health.checked or None,
        "fault": fault.reason if fault is not None else None,
        "fault_at": fault.at if fault is not None else None,
    }


def _status(health: TargetHealth, now: float) -> str:
    if health.barred is not None:
        return "off"
    return "resting" if health.rests(now) else health.breaker.state(now)


def resting_keys(runtime: Runtime) -> dict[str, int]:
    """By provider: how many of its keys rest."""
    rings = {name: target.provider.keys for name, target in runtime.providers.items()}
    return {name: ring.resting() for name, ring in rings.items() if isinstance(ring, Keys)}
