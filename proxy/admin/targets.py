"""`/admin/targets` and `/admin/providers`: how they are, and switching them by hand.

How a target is comes from the workers of this host, by their pulses; what is switched goes to the
store, and from there to every worker of every host. A switch is one entry of the audit log, and
none where it stands already as it should.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiohttp import web

from proxy.admin import asked
from proxy.admin.answers import answer, moment, page
from proxy.admin.asked import ORIGIN
from proxy.admin.desk import Desk
from proxy.base.errors import NotFound
from proxy.config.near import nearest
from proxy.core.identity import StoredScope
from proxy.core.switches import SWITCH, State, Switched, name_of

TARGETS = "/admin/targets"
PROVIDERS = "/admin/providers"

_WORST_FIRST = ("off", "open", "half_open", "resting", "closed")
_UNKNOWN = "unknown"


class Standing(NamedTuple):
    """What one worker says: of targets as `build/health.py` writes it, and how many keys of each
    provider rest."""

    worker: str
    targets: Sequence[Mapping[str, Any]]
    keys: Mapping[str, int]


class Targets:
    """Answers what is asked of targets and providers."""

    def __init__(self, desk: Desk, standings: Callable[[], Iterable[Standing]]) -> None:
        self._desk = desk
        self._standings = standings

    async def targets(self, request: web.Request) -> web.Response:
        """Every configured target, and those that patterns made."""
        asked.query(request)
        said = self._said()
        names = dict.fromkeys((*self._configured(), *said))
        return page([_target_object(name, said.get(name, [])) for name in names], None)

    async def providers(self, request: web.Request) -> web.Response:
        """Every provider."""
        asked.query(request)
        said = self._said()
        found: list[dict[str, object]] = []
        for name, each in self._desk.settings().providers.items():
            barred = [
                told["why"]
                for target, rows in said.items()
                for _, told in rows
                if target.provider == name and told["status"] == "off" and told["mode"] != "open"
            ]
            resting = {one.worker: one.keys[name] for one in self._standings() if name in one.keys}
            found.append(
                {
                    "object": "provider",
                    "name": name,
                    "kind": each.kind,
                    "off": each.off_reason or (barred[0] if barred else None),
                    "keys": len(each.api_keys),
                    "keys_resting": max(resting.values(), default=0),
                }
            )
        return page(found, None)

    async def open(self, request: web.Request) -> web.Response:
        """Send nothing there until it is switched back."""
        return await self._switch(request, self._target(request), "open", "open")

    async def close(self, request: web.Request) -> web.Response:
        """Let failures not open its breaker until it is switched back."""
        return await self._switch(request, self._target(request), "close", "closed")

    async def auto(self, request: web.Request) -> web.Response:
        """Let its breaker decide again."""
        return await self._switch(request, self._target(request), "auto", None)

    async def disable(self, request: web.Request) -> web.Response:
        """Send a provider nothing until it is enabled."""
        return await self._switch(request, self._provider(request), "disable", "disabled")

    async def enable(self, request: web.Request) -> web.Response:
        """Use a provider again."""
        return await self._switch(request, self._provider(request), "enable", None)

    async def _switch(
        self, request: web.Request, what: Switched, action: str, state: State | None
    ) -> web.Response:
        store = self._desk.store
        asked.only(await asked.body(request, optional=True))
        name = name_of(what)
        async with store.change(request[ORIGIN]) as change:
            before = await change.scope(SWITCH, name)
            stands = None
            if before is not None and before.deleted is None:
                stands = before.document.get("state")
            if stands != state:
                kept = before or StoredScope(SWITCH, name, {})
                made = replace(
                    kept,
                    document=kept.document if state is None else {"state": state},
                    deleted=change.now if state is None else None,
                )
                _ = await change.save_scope(action, made, before)
        return answer(
            {
                "object": "switch",
                "route": what.model or None,
                "provider": what.provider,
                "model": what.there or None,
                "state": state,
            }
        )

    def _target(self, request: web.Request) -> Switched:
        given = request.match_info
        wanted = Switched(given["provider"], given["route"], given["model"])
        if wanted in self._configured():
            return wanted
        route = self._desk.settings().models.get(wanted.model)
        if route is None:
            raise _unknown("model", wanted.model, self._desk.settings().models)
        there = [f"{each.provider}/{each.model}" for each in route.targets]
        raise _unknown("target", f"{wanted.provider}/{wanted.there}", there)

    def _provider(self, request: web.Request) -> Switched:
        name = request.match_info["name"]
        providers = self._desk.settings().providers
        if name not in providers:
            raise _unknown("provider", name, providers)
        return Switched(name)

    def _configured(self) -> dict[Switched, None]:
        models = self._desk.settings().models
        return {
            Switched(target.provider, name, target.model): None
            for name, model in models.items()
            for target in model.targets
        }

    def _said(self) -> dict[Switched, list[tuple[str, Mapping[str, Any]]]]:
        found: dict[Switched, list[tuple[str, Mapping[str, Any]]]] = {}
        for one in self._standings():
            for told in one.targets:
                name = Switched(told["provider"], told["route"], told["model"])
                found.setdefault(name, []).append((one.worker, told))
        return found


def _target_object(
    name: Switched, rows: Sequence[tuple[str, Mapping[str, Any]]]
) -> dict[str, object]:
    """A target as its workers see it together: as bad as the worst of them."""
    told = sorted((each for _, each in rows), key=lambda each: _WORST_FIRST.index(each["status"]))
    worst = told[0] if told else {}
    last = max(told, key=lambda each: each["fault_at"] or 0.0, default={})
    latencies = sorted(each["latency"] for each in told if each["latency"] is not None)
    shares = [each["availability"] for each in told if each["availability"] is not None]
    return {
        "object": "target",
        "route": name.model,
        "provider": name.provider,
        "model": name.there,
        "status": worst.get("status", _UNKNOWN),
        "why": worst.get("why"),
        "mode": worst.get("mode", "auto"),
        "in_flight": sum(each["in_flight"] for each in told),
        "availability": min(shares, default=None),
        "latency": latencies[len(latencies) // 2] if latencies else None,
        "checked": _moment(max((each["checked"] or 0.0 for each in told), default=0.0)),
        "fault": last.get("fault"),
        "fault_at": _moment(last.get("fault_at") or 0.0),
        "workers": {worker: each["status"] for worker, each in rows},
    }


def _moment(at: float) -> str | None:
    return moment(datetime.fromtimestamp(at, UTC)) if at else None


def _unknown(what: str, given: str, known: Iterable[str]) -> NotFound:
    near = nearest(given, tuple(known))
    hint = f"; did you mean `{near}`?" if near else ""
    return NotFound(
        f"the configuration has no {what} `{given[:200]}`{hint}", code=f"{what}_not_found"
    )
