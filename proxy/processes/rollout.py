"""Which configuration is good, which is on trial, and when a trial ends. Pure: no I/O, no clock.

The first configuration is good once every worker serves it. A later one is on trial until every
worker serves it (then it is the good one) or one worker cannot build it, or two die over it (then
it is dropped and the workers that took it go back): no lasting mix, no crash loop by reload. A new
worker is given the good one first, so it can always serve.
"""

from collections.abc import Collection

from proxy.processes.messages import Loaded

_DEATHS = 2  # One death may be chance, for example an operator's kill -9 during a reload.


class Rollout:
    """The state of the configuration over all workers."""

    def __init__(self, first: Loaded) -> None:
        self.good = first
        self.trial: Loaded | None = None
        self.settled = False
        self._deaths = 0

    def for_new_worker(self) -> list[Loaded]:
        """What a worker that starts now is to build, in this order."""
        return [self.good, self.trial] if self.trial else [self.good]

    def newest(self) -> Loaded:
        return self.trial or self.good

    def try_out(self, offered: Loaded) -> None:
        """Put `offered` on trial instead of whatever was."""
        self.trial = offered
        self._deaths = 0

    def settle(self, served: Collection[str | None]) -> Loaded | None:
        """Given what each worker serves: what all of them serve now and did not before."""
        newest = self.newest()
        if any(version != newest.version for version in served):
            return None
        if self.settled and self.trial is None:
            return None
        self.settled = True
        self.good = newest
        self.trial = None
        return newest

    def drop(self, version: str) -> bool:
        """End the trial of `version`; whether it was on trial."""
        if self.trial is None or self.trial.version != version:
            return False
        self.trial = None
        return True

    def died(self, served: str | None) -> Loaded | None:
        """A worker died that served `served`. Returns the trial that it is better to drop."""
        if self.trial is None or served == self.trial.version:
            return None
        self._deaths += 1
        return self.trial if self._deaths >= _DEATHS else None
