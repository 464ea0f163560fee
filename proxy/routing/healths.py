"""The health of all targets of a worker, by configured model, provider and the model's name there.

It outlives reloads: a target that is still there keeps what is known of it, and gets new settings
once the new configuration is in force (`adopt`). Names that patterns make are bounded: of more than
`most` the ones that nobody uses are forgotten first.

Built in a thread while the loop goes on: whoever goes through all of them works on a copy.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from proxy.core.policy import Breaker as BreakerSettings
from proxy.routing.health import Mode, Name, TargetHealth

_MOST = 2048


class Switches(NamedTuple):
    """What operators said. `providers`: why each of these is not to be asked."""

    targets: Mapping[Name, Mode] = {}
    providers: Mapping[str, str] = {}


class Shared(NamedTuple):
    """A breaker that some worker has opened. `left`: for how many seconds from now."""

    left: float
    cause: str


class Healths:
    """`told` is called when a breaker opened for so many seconds, or closed (None)."""

    def __init__(self, most: int = _MOST) -> None:
        self.told: Callable[[Name, float | None, str], None] | None = None
        self._most = most
        self._known: dict[Name, TargetHealth] = {}
        self._written: dict[Name, Name] = {}  # Of a name that a pattern made: the pattern's.
        self._asked: dict[Name, BreakerSettings] = {}  # By the configuration that is being built.
        self._switches = Switches()
        self._shared: frozenset[Name] = frozenset()

    def of(self, route: str, provider: str, model: str, settings: BreakerSettings) -> TargetHealth:
        """The health of a configured target."""
        name = Name(route, provider, model)
        self._asked[name] = settings
        return self._known.get(name) or self._make(name, settings)

    def adopt(self) -> None:
        """The configuration that was built last is in force: forget what is not in it."""
        asked, self._asked = self._asked, {}
        for name, health in list(self._known.items()):
            settings = asked.get(self._written.get(name, name))
            if settings is None:
                self._forget(name)
            else:
                health.breaker.settings = settings

    def known(self) -> tuple[TargetHealth, ...]:
        """All that there are."""
        return tuple(self._known.values())

    def switch(self, switches: Switches) -> None:
        """Do as operators say; what they no longer say is over."""
        self._switches = switches
        for health in self.known():
            self._govern(health)

    def hear(self, shared: Mapping[Name, Shared]) -> None:
        """These are the breakers that any worker has open, all of them."""
        for name, each in shared.items():
            health = self._known.get(name)
            if health is not None:
                health.hear_open(each.left, each.cause)
        for name in self._shared.difference(shared):
            health = self._known.get(name)
            if health is not None:
                health.hear_closed()
        self._shared = frozenset(shared)

    def probed(self, provider: str, reason: str | None) -> None:
        """A provider was asked how it is; None: it is well."""
        for health in self.known():
            if health.name.provider == provider:
                health.probed(reason)

    def _like(self, pattern: TargetHealth, model: str) -> TargetHealth:
        name = pattern.name._replace(model=model)
        known = self._known.get(name)
        if known is not None or name == pattern.name:
            return known or pattern
        self._written[name] = self._written.get(pattern.name, pattern.name)
        return self._make(name, pattern.breaker.settings)

    def _make(self, name: Name, settings: BreakerSettings) -> TargetHealth:
        if len(self._known) >= self._most:
            self._make_room()
        health = self._known[name] = TargetHealth(name, settings, self._tell, self._like)
        self._govern(health)
        return health

    def _make_room(self) -> None:
        """An eighth of the places: those of patterns that are idle, the oldest first."""
        wanted = max(1, self._most // 8)
        for name in list(self._written):
            health = self._known.get(name)
            if health is None or (not health.in_flight and health.breaker.is_clear):
                self._forget(name)
                wanted -= 1
            if not wanted:
                return

    def _forget(self, name: Name) -> None:
        self._known.pop(name, None)
        self._written.pop(name, None)

    def _govern(self, health: TargetHealth) -> None:
        name, switches = health.name, self._switches
        mode = switches.targets.get(name)
        if mode is None and name in self._written:
            mode = switches.targets.get(self._written[name])
        why = switches.providers.get(name.provider)
        if why is None and mode == "open":
            why = "an operator has opened its breaker"
        health.govern(mode or "auto", why)

    def _tell(self, health: TargetHealth, seconds: float | None) -> None:
        if self.told is not None:
            self.told(health.name, seconds, health.breaker.cause)
